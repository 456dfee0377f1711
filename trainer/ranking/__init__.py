"""Ranking: query against gallery, in every setting and protocol of a benchmark.

metrics.py ranks by a distance, reranking.py refines the distance, draws.py draws single-shot galleries, evaluation.py
measures a whole benchmark, origin.py says of which encoder, results.py holds the numbers, their file and their table.
"""

from trainer.ranking.draws import GivenDraws, draw_galleries, load_draws, save_draws
from trainer.ranking.evaluation import Extract, Measurement, evaluate_benchmark, unmeasured
from trainer.ranking.metrics import Labels, Ranking, chance, evaluate, evaluate_features
from trainer.ranking.origin import Origin, find_origin
from trainer.ranking.results import (
    EvaluationProtocol,
    Result,
    Score,
    add_results,
    format_results,
    read_results,
    write_results,
)

__all__ = [
    "EvaluationProtocol",
    "Extract",
    "GivenDraws",
    "Labels",
    "Measurement",
    "Origin",
    "Ranking",
    "Result",
    "Score",
    "add_results",
    "chance",
    "draw_galleries",
    "evaluate",
    "evaluate_benchmark",
    "evaluate_features",
    "find_origin",
    "format_results",
    "load_draws",
    "read_results",
    "save_draws",
    "unmeasured",
    "write_results",
]
