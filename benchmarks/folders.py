"""Where benchmarks keep what they make; nothing of it is committed."""

from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parent.parent
CACHE_DIR = PROJECT_DIR / ".cache" / "benchmarks"
"""Model files made for benchmarks."""
RESULTS_DIR = PROJECT_DIR / "benchmarks" / "results"
DOCUMENT = PROJECT_DIR / "docs" / "benchmarks.md"
