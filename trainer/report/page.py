"""The page: what is known of one run, or of several side by side, put into report.html."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data import open_benchmark
from data.benchmark import Benchmark
from data.page import make_page, write_page
from data.runtime.logs import get_logger
from data.runtime.places import dataset_root
from trainer.ranking import Result
from trainer.report.clusters import Agreement, agreements
from trainer.report.curves import curves_of, training_charts
from trainer.report.groups import Group, draw_clusters, draw_groups
from trainer.report.maps import make_map
from trainer.report.paired import Paired, comparable, pair
from trainer.report.pictures import Pictures
from trainer.report.rankings import Rankings, rank_anew, with_older
from trainer.report.strips import make_strips
from trainer.report.subject import Subject, differing, read_subject
from trainer.runs import Run

_HERE = Path(__file__).parent
_QUERIES = 8000
"""Rows of the table of queries at most: PRCC has 7,086; more would make the page heavy."""

_log = get_logger(__name__)


@dataclass(frozen=True)
class Request:
    """What a report is asked for.

    Attributes:
        runs: which runs; the first is what the others are compared with.
        checkpoint: `last` or `best` encoder of each.
        dataset: benchmark to rank in; by default the first run's own.
        root: its folder; by default where the run knows it to be.
        device: where encoders compute.
        workers: processes that read ahead.
    """

    runs: tuple[Run, ...]
    checkpoint: str = "last"
    dataset: str | None = None
    root: Path | None = None
    device: str = "cpu"
    workers: int = 0


@dataclass(frozen=True)
class Row:
    """Numbers of one run in one protocol, and their difference to the first run's where it was ranked as well."""

    run: str
    result: Result
    paired: Paired | None


@dataclass(frozen=True)
class Table:
    """The numbers of a measurement: its title, and rows by protocol."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class QueryRow:
    """A query and its average precision, per cent, with each run."""

    setting: str
    name: str
    person: str
    camera: str
    clothes: str
    ap: tuple[float, ...]


def write_report(path: Path, request: Request) -> None:
    """Write the report of one run, or of several, as one page of HTML, whole or not at all.

    Raises:
        InputError: a run has no encoder, or a benchmark that was named cannot be read.
    """
    subjects = [read_subject(run, request.checkpoint, request.device) for run in request.runs]
    benchmark = _benchmark(request, subjects[0])
    notes = [note for subject in subjects for note in subject.notes]
    rankings = []
    for subject in subjects:
        found, why = _rank(subject, benchmark, request)
        rankings.append(found)
        notes += why
    pictures = Pictures()
    ranked = [(s, r) for s, r in zip(subjects, rankings, strict=True) if r.ranked]
    several = len(subjects) > 1
    maps = [drawn for s in subjects if (drawn := make_map(s, len(subjects), request.workers))]
    page = make_page(
        _HERE / "report.html",
        script=(_HERE / "report.js").read_text(encoding="utf-8"),
        style=(_HERE / "report.css").read_text(encoding="utf-8"),
        title=" · ".join(subject.name for subject in subjects),
        subjects=subjects,
        several=several,
        checkpoint=request.checkpoint,
        notes=list(dict.fromkeys(notes)),
        tables=list(_tables(subjects, rankings)),
        curves=curves_of(subjects, rankings),
        training=training_charts(subjects),
        clusters=[(s, _agreement(s), list(draw_clusters(s, pictures))) for s in subjects],
        maps=maps,
        strips=make_strips(benchmark.root, [s.name for s, _ in ranked], [r for _, r in ranked], pictures)
        if benchmark and ranked
        else [],
        queries=list(_queries(benchmark, [r for _, r in ranked])) if benchmark and several and len(ranked) > 1 else [],
        ranked_names=[subject.name for subject, _ in ranked],
        groups=_groups(subjects, pictures),
        differing=differing(subjects),
        pictures=pictures.uris,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(path, page)


def _rank(subject: Subject, benchmark: Benchmark | None, request: Request) -> tuple[Rankings, list[str]]:
    return rank_anew(subject, benchmark, request.checkpoint, request.workers) if benchmark else (Rankings(), [])


def _benchmark(request: Request, first: Subject) -> Benchmark | None:
    if request.dataset is None and request.root is None:
        return first.benchmark
    name = request.dataset or str(first.facts["dataset"])
    return open_benchmark(name, dataset_root(name, request.root))


def _tables(subjects: Sequence[Subject], rankings: Sequence[Rankings]) -> Iterator[Table]:
    """The numbers measured now, protocol by protocol with a row a run; then what results.json has beside them."""
    fresh = [
        Row(subject.name, each.result, _paired(rankings, run, place))
        for place in range(max((len(r.ranked) for r in rankings), default=0))
        for run, subject in enumerate(subjects)
        for each in rankings[run].ranked[place : place + 1]
    ]
    older: dict[str, list[Row]] = {}
    for subject, ranking in zip(subjects, rankings, strict=True):
        for result in with_older(subject, ranking)[len(ranking.ranked) :]:
            older.setdefault(result.protocol.title, []).append(Row(subject.name, result, None))
    if fresh:
        shared = {row.result.protocol.title for row in fresh}
        yield Table(shared.pop() if len(shared) == 1 else "each run with its own encoder", tuple(fresh))
    yield from (Table(title, tuple(rows)) for title, rows in older.items())


def _paired(rankings: Sequence[Rankings], run: int, place: int) -> Paired | None:
    if run == 0 or len(rankings[0].ranked) <= place:
        return None
    first, other = rankings[0].ranked[place], rankings[run].ranked[place]
    return pair(first, other) if comparable(first, other) else None


def _agreement(subject: Subject) -> list[Agreement]:
    return agreements(subject.labels, subject.records) if len(subject.labels) else []


def _queries(benchmark: Benchmark, rankings: Sequence[Rankings]) -> Iterator[QueryRow]:
    """Every query of each setting's first protocol, at most so many, those first whose rank changed most."""
    rows: list[QueryRow] = []
    seen: set[str] = set()
    for place, first in enumerate(rankings[0].ranked):
        if first.setting.name in seen:
            continue
        seen.add(first.setting.name)
        aps = [each.ranked[place].ap for each in rankings]
        for number in first.used.nonzero()[0].tolist():
            record = first.setting.query[number]
            name = record.path.relative_to(benchmark.root).as_posix()
            rows.append(
                QueryRow(
                    first.setting.name,
                    name,
                    record.person or "",
                    record.camera or "",
                    record.clothes or "",
                    tuple(100 * float(ap[number]) for ap in aps),
                )
            )
    rows.sort(key=lambda row: -abs(row.ap[-1] - row.ap[0]))
    if len(rows) > _QUERIES:
        _log.info(f"of {len(rows):,} queries the page lists the {_QUERIES:,} that differ most")
    yield from rows[:_QUERIES]


def _groups(subjects: Sequence[Subject], pictures: Pictures) -> list[tuple[Subject, list[Group]]]:
    """Redrawn photos of each store, once."""
    shown: dict[Path, tuple[Subject, list[Group]]] = {}
    for subject in subjects:
        if subject.store and subject.store.path not in shown:
            shown[subject.store.path] = (subject, draw_groups(subject.store, pictures))
    return list(shown.values())
