"""Whole conversations between a client and the service, byte for byte: protocol/fixtures/conversations.

They are recorded by `python -m tests.support.conversations`, with our own client and the
service in one process and nothing that depends on time between them. Clients of every
language are held to the host's frames, the service to the engine's.
"""
