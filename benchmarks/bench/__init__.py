"""Our own bars: starting, the way through the protocol, memory, idling. Uses public interfaces alone."""
