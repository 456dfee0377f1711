from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from data.runtime.errors import InputError
from trainer.__main__ import main
from trainer.config import Config, make_config
from trainer.presets import PRESETS
from trainer.runs import read_config


def test_paper_is_the_defaults() -> None:
    paper = make_config("paper")
    assert paper == Config()
    assert (paper.backbone, paper.last_stride, paper.height, paper.width) == ("resnet50", 1, 256, 128)
    assert (paper.versions, paper.batch_clusters, paper.batch_photos, paper.images) == (4, 8, 4, 5)
    assert (paper.k1, paper.k2, paper.eps, paper.min_samples) == (30, 6, 0.4, 4)
    assert (paper.temperature, paper.momentum, paper.alpha, paper.consistency_temperature) == (0.05, 0.3, 0.3, 0.1)
    assert (paper.lr, paper.weight_decay, paper.warmup, paper.epochs, paper.iterations) == (3.5e-4, 5e-4, 20, 120, 400)
    assert (paper.c_a, paper.c_i, paper.sampling) == (True, True, "both")


def test_every_preset_is_possible() -> None:
    for name in PRESETS:
        assert make_config(name).epochs > 0


def test_later_overrides_win() -> None:
    assert make_config("walkers", {"eps": 0.3, "k1": 9}, {"eps": 0.6}).eps == 0.6
    assert make_config("walkers", {"eps": 0.3, "k1": 9}, {"eps": 0.6}).k1 == 9


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"epsilon": 0.4}, "not known; known are .*eps"),
        ({"eps": 1.0}, "at most 0.99"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"epochs": 0}, "at least 1"),
        ({"epochs": 1.5}, "give a int"),
        ({"c_a": 1}, "true or false"),
        ({"sampling": "hard"}, "none, average, hardest, both"),
        ({"precision": "float16"}, "bfloat16"),
        ({"batch_clusters": 1, "batch_photos": 1}, "two images"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_config("paper", settings)


def test_unknown_preset_names_the_known() -> None:
    with pytest.raises(InputError, match="paper, walkers"):
        make_config("papr")


def test_a_whole_number_is_a_float_too_and_counts_as_the_same() -> None:
    assert make_config("paper", {"alpha": 1}).digest == make_config("paper", {"alpha": 1.0}).digest


def test_digest_differs_with_every_setting() -> None:
    base = Config()
    others = {
        "backbone": "resnet18",
        "backbone_weights": "none",
        "last_stride": 2,
        "sampling": "average",
        "precision": "bfloat16",
        "search": "approximate",
    }
    digests = {base.digest}
    for field in dataclasses.fields(Config):
        value = getattr(base, field.name)
        if isinstance(value, bool):
            other: object = not value
        elif isinstance(value, int) and field.name != "last_stride":
            other = value + 1
        elif isinstance(value, float):
            other = value * 1.01 if value not in (0.0, 0.5) else 0.25
        else:
            other = others[field.name]
        needed = {"labeller": True} if field.name == "labeller_epochs" else {}
        digests.add(make_config("paper", {**needed, field.name: other}).digest)
    assert len(digests) == 1 + len(dataclasses.fields(Config))


def test_no_redrawn_image_is_encoded_without_a_use() -> None:
    assert make_config("paper", {"c_a": False, "c_i": False}).images == 1
    assert make_config("paper", {"c_a": False, "versions": 3}).images == 4


def test_help_names_every_setting_and_its_symbol() -> None:
    text = " ".join(CliRunner().invoke(main, ["train", "--help"]).output.split())
    for field in dataclasses.fields(Config):
        assert "--" + field.name.replace("_", "-") in text
    for symbol in ("C_a:", "C_i:", "S:", "P:", "K:", "tau:", "alpha:", "epsilon:", "m:"):
        assert symbol in text


def test_config_json_comes_back(tmp_path: Path) -> None:
    config = make_config("walkers", {"seed": 5, "eps": 0.45})
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"sync": "somewhere", "settings": dataclasses.asdict(config)}))
    assert read_config(path) == (config, Path("somewhere"))


def test_settings_that_have_gone_are_read_past(tmp_path: Path) -> None:
    config = make_config("walkers")
    path = tmp_path / "config.json"
    settings = {**dataclasses.asdict(config), "channels_last": True, "calibration_batches": 8}
    path.write_text(json.dumps({"sync": "somewhere", "settings": settings}))
    assert read_config(path)[0] == config


def test_help_shows_each_preset_s_value() -> None:
    text = " ".join(CliRunner().invoke(main, ["train", "--help"]).output.split())
    for said in (
        "[paper 30, walkers 15, people 15]",
        "[none|average|hardest|both]",
        "[float32|bfloat16]",
        "[exact|approximate]",
    ):
        assert said in text


def test_help_loads_no_network() -> None:
    code = (
        "import sys\n"
        "from trainer.__main__ import main\n"
        "main(['train', '--help'], standalone_mode=False)\n"
        "sys.exit('loaded' if 'torch' in sys.modules else 0)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("text", ["", "[]", '{"eps": 1}', '{"settings": {"epss": 1}}'])
def test_a_bad_config_json_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InputError):
        read_config(path)
