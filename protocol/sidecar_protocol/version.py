"""Protocol versions this package speaks."""

PROTOCOL_VERSION = 1
SUPPORTED_PROTOCOLS = (1,)
