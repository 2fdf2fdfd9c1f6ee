"""The process itself: how it is started, watched, logged and ended. Knows no methods and no models."""
