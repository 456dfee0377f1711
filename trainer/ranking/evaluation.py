"""What an encoder is worth on a benchmark: every setting, in every protocol, each number with its protocol's name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from data.benchmark import Benchmark, Setting
from data.record import ImageRecord
from data.runtime.errors import InputError, RunError
from data.runtime.files import write_json
from trainer.ranking.draws import Draw, draw_galleries
from trainer.ranking.metrics import Labels, Ranking, chance, evaluate_features, rank_blocks
from trainer.ranking.reranking import reranked_blocks

Extract = Callable[[Sequence[ImageRecord]], "np.ndarray | torch.Tensor"]
RANKS = (1, 5, 10, 20)


@dataclass(frozen=True)
class Protocol:
    """How a number was measured: without all of this it cannot be compared.

    shots: "single-shot" (the mean over `draws` galleries of one photo a person) or "multi-shot" (all of the gallery;
    `draws` is 1). split: "test" or "validation". flip: features are means over a photo and its mirror image.
    trained_on: the dataset of the encoder's photos; another one than `benchmark` makes it a cross-benchmark number.
    drawn_by: the file that the single-shot galleries were read from; None where they are our own draws.
    """

    benchmark: str
    split: str
    setting: str
    shots: str
    draws: int
    distance: str = "cosine"
    rerank: bool = False
    flip: bool = False
    trained_on: str | None = None
    drawn_by: str | None = None

    def __str__(self) -> str:
        """Return the name under which its numbers are printed."""
        whose = f" of {self.drawn_by}" if self.drawn_by else ""
        return f"{self.setting}, {self.shots}" + (
            f" ({self.draws} draws{whose})" if self.shots == "single-shot" else ""
        )


@dataclass(frozen=True)
class Score:
    """One number, in per cent, with the protocol that gave it.

    metric: "R1", "R5", "R10", "R20", "mAP" or "mINP". spread: the standard deviation over the draws, None of one alone.
    chance: what rankings in random order give in expectation, known for R1 and mAP.
    """

    protocol: Protocol
    metric: str
    value: float
    spread: float | None
    chance: float | None


@dataclass(frozen=True)
class Result:
    """The numbers of one protocol. `queries` had a match in the gallery; `left_out` had none and count nowhere.

    Where draws differ in that, both are of the first. `gallery` is the number of photos ranked, before removals.
    """

    protocol: Protocol
    scores: tuple[Score, ...]
    queries: int
    left_out: int
    gallery: int

    def __getitem__(self, metric: str) -> Score:
        """Return the score of a metric, KeyError where it was not measured."""
        for score in self.scores:
            if score.metric == metric:
                return score
        raise KeyError(metric)


def evaluate_benchmark(
    benchmark: Benchmark,
    extract: Extract,
    *,
    split: str = "test",
    distance: str = "cosine",
    rerank: bool = False,
    flip: bool = False,
    trained_on: str | None = None,
    draws: Mapping[str, Sequence[Draw]] | None = None,
    drawn_by: str | None = None,
) -> tuple[Result, ...]:
    """Measure every setting of a split in each of its protocols.

    `extract` turns records into features, float32 (n, d); it is called once, with each distinct photo once, and does
    the flipping that `flip` records. `draws` replaces the single-shot galleries of the settings it names; `drawn_by`
    says where those are from. Raises InputError for a split without settings, RunError where features are not finite
    or not one a photo.
    """
    settings = {"test": benchmark.settings, "validation": benchmark.validation}[split]
    if not settings:
        raise InputError(f"{benchmark.name} has no {split} settings: nothing can be ranked")
    records = {record.path: record for setting in settings.values() for record in (*setting.query, *setting.gallery)}
    features = _checked(extract(tuple(records.values())), len(records))
    row = {path: number for number, path in enumerate(records)}
    results = []
    for setting in settings.values():
        query_rows, gallery_rows = ([row[r.path] for r in side] for side in (setting.query, setting.gallery))
        for shots in setting.shots:
            galleries: Sequence[Draw] = (tuple(range(len(setting.gallery))),)
            given = draws.get(setting.name) if draws and shots == "single-shot" else None
            if shots == "single-shot":
                galleries = given or draw_galleries(setting)
            protocol = Protocol(
                benchmark.name,
                split,
                setting.name,
                shots,
                len(galleries),
                distance,
                rerank,
                flip,
                trained_on,
                drawn_by if given else None,
            )
            results.append(_measure(protocol, setting, galleries, features[query_rows], features[gallery_rows]))
    return tuple(results)


def encode_labels(query: Sequence[ImageRecord], gallery: Sequence[ImageRecord]) -> tuple[Labels, Labels]:
    """Return the records' labels as numbers that mean the same on both sides; unknown clothes are -1."""
    sides = (query, gallery)
    columns = [
        _encode([[getattr(r, name) for r in side] for side in sides]) for name in ("person", "camera", "clothes")
    ]
    return Labels(*(column[0] for column in columns)), Labels(*(column[1] for column in columns))


def write_results(path: Path, results: Sequence[Result]) -> None:
    """Write results.json: a list of numbers, each with its whole protocol. The file is whole or not there."""
    rows = [
        {
            **asdict(result.protocol),
            "protocol": str(result.protocol),
            "queries": result.queries,
            "left_out": result.left_out,
            "gallery": result.gallery,
            "metric": score.metric,
            "unit": "per cent",
            "value": score.value,
            "spread": score.spread,
            "chance": score.chance,
        }
        for result in results
        for score in result.scores
    ]
    write_json(path, rows)


def read_results(path: Path) -> tuple[Result, ...]:
    """Read what `write_results` wrote. Raises InputError where the file is missing or something else."""
    grouped: dict[Protocol, Result] = {}
    try:
        for row in json.loads(path.read_text(encoding="utf-8")):
            protocol = Protocol(**{name: row[name] for name in Protocol.__dataclass_fields__ if name in row})
            score = Score(protocol, row["metric"], row["value"], row["spread"], row["chance"])
            empty = Result(protocol, (), row["queries"], row["left_out"], row["gallery"])
            found = grouped.get(protocol, empty)
            grouped[protocol] = replace(found, scores=(*found.scores, score))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; run `make eval` first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a file of results ({error!r}); run `make eval` again") from None
    return tuple(grouped.values())


def format_results(results: Sequence[Result]) -> str:
    """Return a table for people, a line a protocol, in per cent; spreads are standard deviations over the draws."""
    return "\n".join(_lines(results))


def _lines(results: Sequence[Result]) -> Iterator[str]:
    metrics = ("R1", "R5", "R10", "mAP", "mINP")
    last: Protocol | None = None
    for result in results:
        title = replace(result.protocol, setting="", shots="", draws=0, drawn_by=None)
        if title != last:
            yield from (() if last is None else ("",))
            yield _title(title)
            yield (
                f"{'protocol':<38}" + "".join(f"{name:>13}" for name in metrics) + "  chance R1/mAP   queries  gallery"
            )
            last = title
        r1, mean_ap = result["R1"].chance, result["mAP"].chance
        left_out = f" ({result.left_out} without a match left out)" if result.left_out else ""
        yield (
            f"{result.protocol!s:<38}"
            + "".join(f"{_number(result[name]):>13}" for name in metrics)
            + f"    {r1:>4.1f} / {mean_ap:<4.1f} {result.queries:>9} {result.gallery:>8}{left_out}"
        )


def _title(protocol: Protocol) -> str:
    parts = [f"{protocol.benchmark}, {protocol.split}", f"{protocol.distance} distance"]
    parts += ["k-reciprocal re-ranking"] if protocol.rerank else []
    parts += ["flip-averaged"] if protocol.flip else []
    if protocol.trained_on not in (None, protocol.benchmark):
        parts.append(f"cross-benchmark: the encoder was trained on {protocol.trained_on}")
    return "; ".join(parts) + "; per cent"


def _number(score: Score) -> str:
    return f"{score.value:.1f}" + ("" if score.spread is None else f" ± {score.spread:.1f}")


def _measure(
    protocol: Protocol, setting: Setting, galleries: Sequence[Draw], query: torch.Tensor, gallery: torch.Tensor
) -> Result:
    query_labels, gallery_labels = encode_labels(setting.query, setting.gallery)
    rankings, chances = [], []
    for draw in galleries:
        drawn = np.asarray(draw)
        labels = gallery_labels[drawn]
        rankings.append(_rank(protocol, query, gallery[torch.from_numpy(drawn)], query_labels, labels))
        chances.append(chance(query_labels, labels, setting.name))
    values = {f"R{k}": [ranking.cmc[min(k, len(ranking.cmc)) - 1] for ranking in rankings] for k in RANKS}
    values["mAP"] = [ranking.mean_ap for ranking in rankings]
    values["mINP"] = [ranking.mean_inp for ranking in rankings]
    by_chance = dict(zip(("R1", "mAP"), np.mean(chances, axis=0), strict=True))
    scores = tuple(
        Score(
            protocol,
            metric,
            100 * float(np.mean(numbers)),
            100 * float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None,
            100 * float(by_chance[metric]) if metric in by_chance else None,
        )
        for metric, numbers in values.items()
    )
    used = rankings[0].used
    return Result(protocol, scores, used, len(setting.query) - used, len(galleries[0]))


def _rank(
    protocol: Protocol, query: torch.Tensor, gallery: torch.Tensor, query_labels: Labels, gallery_labels: Labels
) -> Ranking:
    if protocol.rerank:
        blocks = reranked_blocks(query, gallery, distance=protocol.distance)
        return rank_blocks(blocks, query_labels, gallery_labels, protocol.setting)
    return evaluate_features(query, gallery, query_labels, gallery_labels, protocol.setting, protocol.distance)


def _checked(features: np.ndarray | torch.Tensor, number: int) -> torch.Tensor:
    tensor = torch.as_tensor(features)
    if tensor.ndim != 2 or len(tensor) != number:
        raise RunError(f"the encoder gave features of shape {tuple(tensor.shape)} for {number} photos")
    if not torch.isfinite(tensor).all():
        raise RunError("the encoder gave features that are not finite: its weights are damaged, train it anew")
    return tensor.float()


def _encode(sides: list[list[str | None]]) -> tuple[np.ndarray, np.ndarray]:
    number: dict[str | None, int] = {None: -1}
    for side in sides:
        for name in side:
            number.setdefault(name, len(number))
    query, gallery = (np.array([number[name] for name in side], np.int64) for side in sides)
    return query, gallery
