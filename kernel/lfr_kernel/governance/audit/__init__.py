"""Audit: one database for state, chain and outbox; checkpoints, anchors, export, and a verifier that stands alone."""
