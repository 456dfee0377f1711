"""Painting: photos in, redrawn versions out."""
