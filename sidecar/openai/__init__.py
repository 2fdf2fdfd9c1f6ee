"""OpenAI chat completions over the engine. Knows no transport and no torch, and does no I/O of its own."""
