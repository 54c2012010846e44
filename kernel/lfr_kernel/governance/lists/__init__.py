"""Governed watchlists: a manifest becomes a sealed, signed file, which is reviewed, sampled and opened."""
