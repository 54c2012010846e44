"""The built-in embedder: one template a face."""
