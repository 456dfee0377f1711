from __future__ import annotations

import pickle
from pathlib import Path

from pipeline.annotate.annotator import StoredAnnotations
from pipeline.loaded import PROCESS, Holder
from pipeline.outfits.choice import TemplateChoice
from pipeline.paint.pise import PisePainter


def test_the_last_of_each_kind_is_held() -> None:
    holder = Holder()
    first = holder.get("list", "a", lambda: ["a"])
    assert holder.get("list", "a", lambda: ["again"]) is first
    assert holder.get("other", "b", lambda: ["b"]) == ["b"]
    assert holder.get("list", "a", lambda: ["again"]) is first
    assert holder.get("list", "b", lambda: ["b"]) == ["b"]
    assert holder.get("list", "a", lambda: ["again"]) == ["again"]


def test_painters_that_arrive_in_a_process_share_the_generator_that_the_first_one_loads(
    rendered: Path, random_weights: Path
) -> None:
    PROCESS.clear()
    painter = PisePainter(random_weights, rendered, StoredAnnotations(rendered), TemplateChoice(4), size=(64, 32))
    first, second = (pickle.loads(pickle.dumps(painter)) for _ in range(2))
    assert len(pickle.dumps(painter)) < 10_000
    assert first.generator is second.generator


def test_making_a_painter_loads_nothing(rendered: Path) -> None:
    PisePainter(Path("not there yet"), rendered, StoredAnnotations(rendered), TemplateChoice(4), size=(64, 32))
