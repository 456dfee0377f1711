"""Supervised methods, by which ours is judged: they learn from people's names, which come in by a door of their own.

labels.py is that door, batches.py reads the photos, training.py is the loop, objective.py what a method must give, and
methods/ has one file a method. Nothing of the label-free training may import this room; a test holds that.
"""
