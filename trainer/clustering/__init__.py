"""Pseudo labels: k-reciprocal Jaccard distance and DBSCAN, without the dense matrix.

labels.py is the way in; neighbours.py finds exact neighbours and approximate.py about the same in less time, jaccard.py
makes the graph of them, dbscan.py (where eps and M act) the clusters, and advice.py says which eps would give some.
cameras.py takes out of the features what a camera adds to all of its photos.
"""

from trainer.clustering.cameras import clusters_seen, without_camera_means
from trainer.clustering.labels import jaccard_similarity, memory_needed, pseudo_labels

__all__ = ["clusters_seen", "jaccard_similarity", "memory_needed", "pseudo_labels", "without_camera_means"]
