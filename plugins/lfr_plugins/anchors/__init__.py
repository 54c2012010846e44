"""Anchors of the audit: to a file on another medium, or onto a screen or paper."""
