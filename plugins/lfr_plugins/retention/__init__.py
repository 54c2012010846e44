"""The built-in retention: how long records live."""
