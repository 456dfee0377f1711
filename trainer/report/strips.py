"""Strips: a query and the photos found for it, right or wrong, of the best, the worst and random queries."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.photo import name_below
from data.record import ImageRecord
from trainer.ranking import MATCH, REMOVED, Ranked, encode_labels, verdicts
from trainer.report.pictures import Pictures
from trainer.report.rankings import Rankings

PLACES = 10
_REMOVED = 3
"""Removed photos shown in a row at most, so that those that count are seen."""
_PICTURES = 1100
"""Pictures in all strips of a page at most, beside removed ones: 3 MB."""
_EXTREMES = 8
"""Queries of each kind but `random` at most."""
_SIGNS = {MATCH: "right", REMOVED: "left out"}


@dataclass(frozen=True)
class Shot:
    """A photo in a strip.

    Attributes:
        picture: its number in the page; None where it cannot be read.
        name: its path below the data set's folder.
        person: who is in it; empty where nobody knows.
        camera: its camera; empty where nobody knows.
        clothes: its clothes; empty where nobody knows.
        verdict: "query", "right", "wrong", "left out" of the ranking by the setting's rule, or "" outside rankings.
        place: in the ranking, from 1; 0 where it has none.
    """

    picture: int | None
    name: str
    person: str
    camera: str
    clothes: str
    verdict: str
    place: int


@dataclass(frozen=True)
class Row:
    """What one run found: its average precision in the protocol, per cent, and the photos."""

    run: str
    ap: float
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Strip:
    """A query and what each run found for it.

    Attributes:
        setting: of the benchmark.
        kind: why it is shown: "best", "worst", "gained", "lost" or "random".
        person: whom it shows.
        query: the photo looked for.
        rows: one a run.
    """

    setting: str
    kind: str
    person: str
    query: Shot
    rows: tuple[Row, ...]


def make_strips(root: Path, names: Sequence[str], rankings: Sequence[Rankings], pictures: Pictures) -> list[Strip]:
    """Make the strips of a page, as many as it can hold.

    Of a single run they are its best and worst queries, of several those that the last gained and lost most against the
    first; and random ones, of as many people as can be.

    Args:
        root: the benchmark's folder.
        names: of the runs.
        rankings: of the runs, with the same protocols in the same order.
        pictures: take what is shown.
    """
    whole = list(_one_a_setting(rankings[0].ranked))
    count = _PICTURES // (len(whole) * (1 + PLACES * len(names))) if whole else 0
    return [strip for place in whole for strip in _strips(root, names, rankings, place, count, pictures)]


def _one_a_setting(ranked: Sequence[Ranked]) -> Iterator[int]:
    """The protocol of each setting that is shown: the whole gallery where it is ranked, else the first draw."""
    places: dict[str, int] = {}
    for place, each in enumerate(ranked):
        if each.result.protocol.shots == "multi-shot" or each.setting.name not in places:
            places[each.setting.name] = place
    yield from places.values()


def _choose(ranked: Sequence[Ranked], count: int) -> Iterator[tuple[str, int]]:
    """Kinds and numbers of the queries to show, of all runs together so many."""
    used = np.flatnonzero(np.all([each.used for each in ranked], axis=0))
    score = ranked[-1].ap[used] - (ranked[0].ap[used] if len(ranked) > 1 else 0)
    order = used[np.argsort(-score, kind="stable")].tolist()
    extremes = min(_EXTREMES, count // 4, len(order) // 2)
    high, low = ("gained", "lost") if len(ranked) > 1 else ("best", "worst")
    yield from ((high, query) for query in order[:extremes])
    yield from ((low, query) for query in reversed(order[len(order) - extremes :]))
    query_of: dict[str | None, list[int]] = {}
    drawn = random.Random(0)
    for query in drawn.sample(used.tolist(), len(used)):
        query_of.setdefault(ranked[0].setting.query[query].person, []).append(query)
    # One of each person, then a second of each, until there is no room.
    rounds = [queries[turn] for turn in range(len(used)) for queries in query_of.values() if turn < len(queries)]
    yield from (("random", query) for query in rounds[: max(0, count - 2 * extremes)])


def _strips(
    root: Path, names: Sequence[str], rankings: Sequence[Rankings], place: int, count: int, pictures: Pictures
) -> Iterator[Strip]:
    """The strips of one protocol."""
    first = rankings[0].ranked[place]
    chosen = list(_choose([each.ranked[place] for each in rankings], count))
    queries = [first.setting.query[query] for _, query in chosen]
    gallery = [first.setting.gallery[position] for position in first.galleries[0]]
    found = verdicts(*encode_labels(queries, gallery), first.setting.name)
    orders = []
    for each in rankings:
        distance = 1 - each.features_of(queries) @ each.features_of(gallery).T
        # Among equals the ones that are right come last, as in the numbers.
        orders.append(np.lexsort((found == MATCH, distance)))
    for number, ((kind, query), record) in enumerate(zip(chosen, queries, strict=True)):
        rows = tuple(
            Row(
                name,
                100 * float(each.ranked[place].ap[query]),
                tuple(_shots(root, gallery, order[number], found[number], pictures)),
            )
            for name, each, order in zip(names, rankings, orders, strict=True)
        )
        yield Strip(first.setting.name, kind, str(record.person), _shot(root, record, pictures, "query", 0), rows)


def _shots(
    root: Path, gallery: Sequence[ImageRecord], order: np.ndarray, found: np.ndarray, pictures: Pictures
) -> Iterator[Shot]:
    """The first photos of a ranking, with those that the rule leaves out among them."""
    number, removed = 0, 0
    for position in order:
        verdict = _SIGNS.get(int(found[position]), "wrong")
        left_out = verdict == "left out"
        removed, number = removed + left_out, number + (not left_out)
        if number > PLACES:
            return
        if not left_out or removed <= _REMOVED:
            yield _shot(root, gallery[position], pictures, verdict, 0 if left_out else number)


def _shot(root: Path, record: ImageRecord, pictures: Pictures, verdict: str, place: int) -> Shot:
    return Shot(
        pictures.add_file(record.path),
        name_below(record.path, root),
        record.person or "",
        record.camera or "",
        record.clothes or "",
        verdict,
        place,
    )
