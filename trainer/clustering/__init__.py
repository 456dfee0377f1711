"""Pseudo labels: k-reciprocal Jaccard distance and DBSCAN, without the dense matrix."""

from trainer.clustering.labels import jaccard_similarity, memory_needed, pseudo_labels

__all__ = ["jaccard_similarity", "memory_needed", "pseudo_labels"]
