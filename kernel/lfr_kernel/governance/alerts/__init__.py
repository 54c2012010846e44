"""Alerts: kept under keys that die with them, decided on by people, delivered, counted, and gone in time."""
