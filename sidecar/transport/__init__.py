"""Frames in, frames out: connections to hosts over ZeroMQ or in memory.

It knows headers, ids, credit and sequence; it must not know what a method does,
nor models, OpenAI or torch.
"""
