"""The encoder: backbone, neck, weights, and features of whole sets of photos."""
