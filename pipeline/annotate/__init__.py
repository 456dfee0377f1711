"""Annotation: where each photo's pose and parsing come from."""
