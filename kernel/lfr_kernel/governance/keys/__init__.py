"""Keys: signed statements, sealed secrets, and the files that keys lie in."""
