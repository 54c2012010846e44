"""Governance: under which permit the system runs, and who is on the list."""
