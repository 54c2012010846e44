"""The built-in detector: where the faces of a picture are."""
