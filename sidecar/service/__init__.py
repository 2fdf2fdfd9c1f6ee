"""Protocol methods mapped to the layers below. Knows no sockets, and decides nothing of its own."""
