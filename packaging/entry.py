"""The frozen program's first module."""

import sys

from sidecar.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
