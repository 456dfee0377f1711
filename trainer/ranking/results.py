"""Results: each number with the protocol that gave it, in results.json and in a table for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import groupby
from pathlib import Path

from data.runtime.errors import InputError
from data.runtime.files import write_json
from data.runtime.tables import format_table

UNIT = "per cent"
SHOWN = ("R1", "R5", "R10", "mAP", "mINP")
"""Metrics in the table; results.json holds R20 as well."""


@dataclass(frozen=True)
class EvaluationProtocol:
    """How a number was measured: without all of this it cannot be compared.

    Attributes:
        benchmark: the data set whose galleries are ranked.
        split: "test" or "validation".
        setting: the rule by which photos are removed from a ranking, `data.benchmark.Setting.name`.
        shots: "single-shot" (the mean over `draws` galleries of one photo a person) or "multi-shot" (all of the
            gallery).
        draws: how many galleries were ranked; 1 for multi-shot.
        distance: always "cosine" now; files of earlier versions may hold "euclidean".
        rerank: the distance is refined by k-reciprocal neighbours.
        flip: features are means over a photo and its mirror image.
        trained_on: the data set of the encoder's photos.
        drawn_by: the file that the single-shot galleries were read from; None where they are our own draws.
        root: the folder that the benchmark was read from; this and what follows is None in files of earlier versions.
        list_file: the list in it, where one was chosen.
        list_sha256: SHA-256 of its content.
        checkpoint: which encoder of the run, "last" or "best".
        epoch: epochs it was trained.
        encoder: digest of the encoder.
        trained_in: the folder or the list that `trained_on` was read from.
        cross_benchmark: whether the encoder's photos are others than the benchmark's; None where only names tell.
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
    root: str | None = None
    list_file: str | None = None
    list_sha256: str | None = None
    checkpoint: str | None = None
    epoch: int | None = None
    encoder: str | None = None
    trained_in: str | None = None
    cross_benchmark: bool | None = None

    def __str__(self) -> str:
        """Return the name under which its numbers are printed."""
        whose = f" of {self.drawn_by}" if self.drawn_by else ""
        draws = f" ({self.draws} draws{whose})" if self.shots == "single-shot" else ""
        return f"{self.setting}, {self.shots}{draws}"

    @property
    def title(self) -> str:
        """Name what it shares with the other settings and shots of the same measurement."""
        place = f" in {self.list_file or self.root}" if self.root else ""
        place += f" (SHA-256 {self.list_sha256[:8]})" if self.list_sha256 else ""
        parts = [f"{self.benchmark}{place}, {self.split}"]
        parts += [f"{self.checkpoint} encoder, {self.epoch} epochs ({self.encoder})"] if self.encoder else []
        parts += [f"{self.distance} distance"]
        parts += ["k-reciprocal re-ranking"] if self.rerank else []
        parts += ["flip-averaged"] if self.flip else []
        others = self.trained_on not in (None, self.benchmark)
        if others if self.cross_benchmark is None else self.cross_benchmark:
            origin = f"{self.trained_on} in {self.trained_in}" if self.trained_in else self.trained_on
            parts.append(f"cross-benchmark: the encoder was trained on {origin}")
        return "; ".join([*parts, UNIT])


@dataclass(frozen=True)
class Score:
    """One number, in per cent, with the protocol that gave it.

    Attributes:
        protocol: how it was measured.
        metric: "R1", "R5", "R10", "R20", "mAP" or "mINP".
        value: the mean over the draws.
        spread: the standard deviation over the draws; None for a single one.
        chance: what rankings in random order give in expectation, known for R1 and mAP.
    """

    protocol: EvaluationProtocol
    metric: str
    value: float
    spread: float | None
    chance: float | None

    def __str__(self) -> str:
        """Return the value and its spread, as in the table."""
        return f"{self.value:.1f}" + ("" if self.spread is None else f" ± {self.spread:.1f}")


@dataclass(frozen=True)
class Result:
    """The numbers of one protocol.

    Where the draws differ in the counts, they are those of the first.

    Attributes:
        protocol: how they were measured.
        scores: one of each metric.
        queries: how many had a match in the gallery.
        left_out: how many had none and count nowhere.
        gallery: photos ranked, before removals.
    """

    protocol: EvaluationProtocol
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
            "unit": UNIT,
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
    grouped: dict[EvaluationProtocol, Result] = {}
    known = [field.name for field in fields(EvaluationProtocol)]
    try:
        for row in json.loads(path.read_text(encoding="utf-8")):
            protocol = EvaluationProtocol(**{name: row[name] for name in known if name in row})
            score = Score(protocol, row["metric"], row["value"], row["spread"], row["chance"])
            empty = Result(protocol, (), row["queries"], row["left_out"], row["gallery"])
            found = grouped.get(protocol, empty)
            grouped[protocol] = replace(found, scores=(*found.scores, score))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; run `make eval` first") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a file of results ({error!r}); remove it and run `make eval` again") from None
    return tuple(grouped.values())


def add_results(path: Path, results: Sequence[Result]) -> None:
    """Write results beside those the file holds already, in the place of those of the same protocols and encoder.

    Raises InputError where the file is there and is not one of results.
    """
    measured = {result.protocol for result in results}
    before = read_results(path) if path.exists() else ()
    write_results(path, [*(result for result in before if result.protocol not in measured), *results])


def format_results(results: Sequence[Result]) -> str:
    """Lay results out for people, a line a protocol, in per cent; spreads are standard deviations over the draws."""
    return "\n\n".join(
        "\n".join(_part(title, list(part))) for title, part in groupby(results, lambda result: result.protocol.title)
    )


def _part(title: str, results: Sequence[Result]) -> Iterator[str]:
    yield title
    yield format_table(
        ("protocol", *SHOWN, "chance R1 / mAP", "queries", "gallery"), [_cells(result) for result in results]
    )
    for result in results:
        if result.left_out:
            yield f"{result.protocol}: queries without a match, left out: {result.left_out}"


def _cells(result: Result) -> list[str]:
    chances = [f"{result[metric].chance:.1f}" for metric in ("R1", "mAP")]
    scores = [str(result[metric]) for metric in SHOWN]
    return [str(result.protocol), *scores, " / ".join(chances), str(result.queries), str(result.gallery)]
