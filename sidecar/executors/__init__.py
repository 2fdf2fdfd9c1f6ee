"""Executors run a batch through a model. They know tensors and blocks; never sequences, requests or text."""
