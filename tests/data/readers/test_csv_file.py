from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data import open_benchmark
from data.runtime.errors import InputError

Make = Callable[..., None]

FULL = """path,person,camera,clothes,split
photos/anna 1.jpg,anna,door,red,
photos/ánna 2.jpg,anna,hall,red,train
q/anna.jpg,anna,door,red,query
q/bert.jpg,bert,door,coat,query
g/anna.jpg,anna,hall,blue,gallery
g/bert.jpg,bert,hall,coat,gallery
v/q.jpg,carl,door,x,validation-query
v/g.jpg,carl,hall,y,validation-gallery
"""


@pytest.fixture
def photos(make_photos: Make) -> None:
    make_photos(*(line.split(",")[0] for line in FULL.splitlines()[1:]))


def write(folder: Path, text: str, name: str = "mine.csv", encoding: str = "utf-8") -> Path:
    (folder / name).write_text(text, encoding=encoding)
    return folder / name


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.usefixtures("photos")
def test_a_full_file(tmp_path: Path, encoding: str) -> None:
    file = write(tmp_path, FULL, encoding=encoding)
    benchmark = open_benchmark("csv", file)
    assert benchmark.root == tmp_path
    assert [(r.path, r.person, r.camera, r.clothes) for r in benchmark.train] == [
        (tmp_path / "photos/anna 1.jpg", "anna", "door", "anna-red"),
        (tmp_path / "photos/ánna 2.jpg", "anna", "hall", "anna-red"),
    ]
    assert list(benchmark.settings) == ["clothing-change", "same-clothing", "standard"]
    assert [r.person for r in benchmark.settings["standard"].query] == ["anna", "bert"]
    assert list(benchmark.validation) == ["clothing-change", "standard"]
    assert open_benchmark("csv", tmp_path) == benchmark


@pytest.mark.usefixtures("photos")
def test_two_columns_are_enough_to_train(tmp_path: Path) -> None:
    benchmark = open_benchmark("csv", write(tmp_path, "person, path\nanna,photos/anna 1.jpg\n"))
    assert [(r.person, r.clothes) for r in benchmark.train] == [("anna", None)]
    assert benchmark.settings == {}


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("text", ["path\nphotos/anna 1.jpg\n", "path,person,clothes\nphotos/anna 1.jpg,,red\n"])
def test_people_of_training_photos_need_not_be_known(tmp_path: Path, text: str) -> None:
    benchmark = open_benchmark("csv", write(tmp_path, text))
    assert [(r.person, r.clothes) for r in benchmark.train] == [(None, None)]
    assert benchmark.settings == {}


@pytest.mark.usefixtures("photos")
def test_without_cameras_and_clothes_there_is_the_standard_setting(tmp_path: Path) -> None:
    rows = [",".join(line.split(",")[i] for i in (0, 1, 4)) for line in FULL.splitlines()]
    benchmark = open_benchmark("csv", write(tmp_path, "\n".join(rows)))
    assert list(benchmark.settings) == ["standard"]
    assert {r.camera for r in benchmark.settings["standard"].query} == {"(query)"}
    assert {r.camera for r in benchmark.settings["standard"].gallery} == {"(gallery)"}


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found nothing"),
        ("path;person\n", "expected a first row of path, person, .* found path;person"),
        ("path,person,cloths\n", "expected a first row of .* found path, person, cloths"),
        ("path,person,person\n", "expected a first row"),
        ("path,person\n", "no photo in it"),
        ("path,person\nq/anna.jpg,\n,anna\n", "row 3: path is empty"),
        ("path,person,split\nq/anna.jpg,,gallery\n", "row 2: person is empty; gallery photos need one"),
        ("path,split\nq/anna.jpg,query\n", "row 2: person is empty; query photos need one"),
        ("path,person\nq/anna.jpg,anna\nnone.jpg,bert\n", r"row 3: there is no photo .*none\.jpg"),
        ("path,person\nq/anna.jpg,anna\n./q/anna.jpg,bert\n", r"row 3: \./q/anna\.jpg is in row 2 too"),
        ("path,person\n../elsewhere.jpg,anna\n", r"row 2: \.\./elsewhere\.jpg lies outside"),
        ("path,person\nq/anna.jpg,anna,door\n", "row 2: more values than columns"),
        ("path,person,split\nq/anna.jpg,anna,test\n", "row 2: split 'test' is unknown; use one of train, query"),
        ("path,person,split\nq/anna.jpg,anna,query\n", "1 query and 0 gallery photos"),
        ('path,person\n"q/anna.jpg,anna\n', "not a CSV file"),
        ("path,person\nq\\anna.jpg,anna\n", r"row 2: q\\anna\.jpg has backslashes; write it with /, as q/anna\.jpg"),
    ],
)
def test_the_first_bad_row_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_benchmark("csv", write(tmp_path, text))


@pytest.mark.usefixtures("photos")
def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither UTF-8 nor UTF-16"):
        open_benchmark("csv", write(tmp_path, "path,person\nq/ánna.jpg,anna\n", encoding="latin-1"))
    write(tmp_path, FULL, "second.csv")
    with pytest.raises(InputError, match="found 2 of them"):
        open_benchmark("csv", tmp_path)
    with pytest.raises(InputError, match="found nothing"):
        open_benchmark("csv", tmp_path / "nowhere.csv")


@pytest.mark.usefixtures("photos")
def test_a_photo_without_clothes_does_not_take_the_settings_from_all_others(tmp_path: Path) -> None:
    more = FULL.replace("g/bert.jpg,bert,hall,coat,gallery", "g/bert.jpg,bert,hall,,gallery")
    benchmark = open_benchmark("csv", write(tmp_path, more))
    assert list(benchmark.settings) == ["clothing-change", "standard"]
    assert [r.person for r in benchmark.settings["clothing-change"].gallery] == ["anna"]
    assert [r.person for r in benchmark.settings["standard"].gallery] == ["anna", "bert"]


@pytest.mark.usefixtures("photos")
def test_settings_that_nobody_can_be_found_in_are_named_once(tmp_path: Path, said: Callable[[], list[str]]) -> None:
    file = write(tmp_path, FULL)
    for _ in range(2):
        open_benchmark("csv", file)
    [line] = said()
    assert line.startswith(
        f"{file}: the validation same-clothing setting is left out: none of its 1 queries has a match"
    )
    for side in ("query", "gallery"):
        rows = [line for line in FULL.splitlines() if ",validation" not in line]
        bare = [",".join([*line.split(",")[:3], "", side]) if line.endswith(side) else line for line in rows]
        file = write(tmp_path, "\n".join(bare), f"{side}.txt")
        assert list(open_benchmark("csv", file).settings) == ["standard"]
        other = "gallery" if side == "query" else "query"
        assert said()[-1] == (
            f"{file}: the settings that need clothes are left out: 2 {other} photos have them, but no {side} photo"
        )


@pytest.mark.usefixtures("photos")
def test_a_hidden_file_is_no_second_list(tmp_path: Path) -> None:
    file = write(tmp_path, FULL)
    write(tmp_path, "junk", "._mine.csv")
    assert open_benchmark("csv", tmp_path) == open_benchmark("csv", file)
