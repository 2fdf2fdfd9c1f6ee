"""llm-sidecar: private, offline LLM inference for desktop applications."""

__version__ = "0.1.0"
