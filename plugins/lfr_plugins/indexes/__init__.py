"""The built-in index: who on the list is nearest."""
