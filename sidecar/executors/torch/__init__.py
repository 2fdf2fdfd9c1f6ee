"""The torch executor: runs models on any device that torch knows, and is the reference for the others."""

from sidecar.executors.torch.openmp import load_torch

load_torch()
