"""PISE: the generator that redraws a photo in another outfit."""
