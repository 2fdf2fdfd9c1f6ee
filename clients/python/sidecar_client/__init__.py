"""Python client of llm-sidecar."""
