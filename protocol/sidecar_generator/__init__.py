"""From the method registry to what is committed: schema, reference, generated parts of the clients.

Knows no engine and no transport. Run as `python -m sidecar_generator`.
"""
