"""The contract between a host and the sidecar: message types, method registry, envelope, codec.

Imports nothing of the sidecar and nothing of the clients; both import this.
"""
