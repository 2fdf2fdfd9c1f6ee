"""Tool calls in what a model writes. Knows text and JSON, nothing of the protocol, engines or sockets."""
