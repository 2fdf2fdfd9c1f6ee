"""The contract: message types, method registry, envelope and codec. Imports nothing of the sidecar."""
