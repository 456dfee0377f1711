"""The upper floor that learns: clustering, contrast, ranking; it never sees the generator."""
