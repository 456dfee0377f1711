"""Ranking: query against gallery, in every setting and protocol of a benchmark."""

from trainer.ranking.metrics import Labels, Ranking, chance, evaluate, evaluate_features

__all__ = ["Labels", "Ranking", "chance", "evaluate", "evaluate_features"]
