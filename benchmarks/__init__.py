"""Measurements: ours against its bars (`bench`), and side by side with other engines (`peers`)."""
