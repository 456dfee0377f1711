"""Fitting a generator: to rendered people, or to photos of which nobody knows who they show."""
