"""Architectures: one file each, and the layers they are made of."""
