"""The torch executor: runs models on any device that torch knows, and is the reference for the others."""
