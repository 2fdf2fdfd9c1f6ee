"""The models on this computer: names, files, run-ready forms. Knows no engine and no tensors."""
