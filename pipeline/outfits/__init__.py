"""Outfits: the clothing templates, and the shape of clothes on a body."""
