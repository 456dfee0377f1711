"""Batches: which photos make one, how they are read and augmented."""
