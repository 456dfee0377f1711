"""Ranking: query against gallery, in every setting and protocol of a benchmark.

metrics.py ranks by a distance, reranking.py refines the distance, draws.py draws single-shot galleries, evaluation.py
measures a whole benchmark, origin.py says of which encoder, results.py holds the numbers, their file and their table.
"""

from trainer.ranking.draws import GivenDraws, draw_galleries, load_draws, save_draws
from trainer.ranking.evaluation import (
    Extract,
    Measurement,
    Ranked,
    encode_labels,
    evaluate_benchmark,
    rank_benchmark,
    unmeasured,
)
from trainer.ranking.metrics import (
    MATCH,
    OTHER,
    REMOVED,
    Labels,
    Ranking,
    chance,
    evaluate,
    evaluate_features,
    verdicts,
)
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
    "MATCH",
    "OTHER",
    "REMOVED",
    "EvaluationProtocol",
    "Extract",
    "GivenDraws",
    "Labels",
    "Measurement",
    "Origin",
    "Ranked",
    "Ranking",
    "Result",
    "Score",
    "add_results",
    "chance",
    "draw_galleries",
    "encode_labels",
    "evaluate",
    "evaluate_benchmark",
    "evaluate_features",
    "find_origin",
    "format_results",
    "load_draws",
    "rank_benchmark",
    "read_results",
    "save_draws",
    "unmeasured",
    "verdicts",
    "write_results",
]
