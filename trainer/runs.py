"""Runs: the folder of a training, what made it, and checkpoints that survive a kill."""

from __future__ import annotations

import dataclasses
import json
import pickle
import platform
import shlex
import subprocess
import sys
import zipfile
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from data.benchmark import Benchmark
from data.runtime.errors import InputError
from data.runtime.files import SUFFIX, write_json, writing
from data.runtime.logs import get_logger
from data.runtime.places import RUNS
from data.shards import Manifest, read_manifest
from trainer.baselines import BaselineConfig, read_baseline
from trainer.config import RETIRED, Config, make_config

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "h5py", "timm")
KEPT = 2
"""Checkpoints of a run that stay: the newest, and one in case it is damaged."""

_log = get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's folder: config.json, run.json, metrics.jsonl, checkpoint-*.pt (the last two) and best.pt."""

    folder: Path

    @property
    def name(self) -> str:
        """Give the run's name, that of its folder."""
        return self.folder.name

    @property
    def config(self) -> Config | BaselineConfig:
        """Give the settings it was started with; InputError where its config.json is missing or damaged."""
        return read_config(self.folder / "config.json")[0]

    @property
    def sync(self) -> Path:
        """Give the folder of shards it was started with."""
        return read_config(self.folder / "config.json")[1]

    @property
    def place(self) -> Path:
        """Find its data set: where its shards were asked for last, else where it was; `data.open_benchmark` takes it.

        A folder that was moved, or another list of the same training photos, is known as soon as a sync has seen it.
        """
        facts = self.facts
        try:
            manifest = read_manifest(self.sync)
        except InputError:
            return _place(facts)
        return manifest.place if manifest.key == facts["key"] else _place(facts)

    @property
    def facts(self) -> dict[str, Any]:
        """Read what run.json says: command, commit, config digest, versions, device, dataset, started, finished."""
        return dict(_read_json(self.folder / "run.json"))

    def note(self, **facts: Any) -> None:
        """Write these facts into run.json, beside those there."""
        path = self.folder / "run.json"
        write_json(path, {**(_read_json(path) if path.exists() else {}), **facts})

    @property
    def begun(self) -> bool:
        """Say whether anything was learned in it; a folder without that may be started anew with other settings."""
        return bool(self.checkpoints()) or self._best.exists()

    @property
    def finished(self) -> bool:
        """Say whether it was trained to its end, and a checkpoint of the end is whole."""
        if not (self.folder / "run.json").exists() or not self.facts.get("finished"):
            return False
        content, _ = self.load()
        return content is not None and content["epoch"] >= self.config.epochs

    def checkpoints(self) -> list[Path]:
        """List the checkpoints kept, newest first."""
        return sorted(self.folder.glob("checkpoint-*.pt"), reverse=True)

    @property
    def _best(self) -> Path:
        return self.folder / "best.pt"

    def save(self, state: dict[str, Any], epoch: int, iteration: int) -> Path:
        """Write a checkpoint of this many whole epochs and further steps, whole or not at all, and drop all but two."""
        path = self.folder / f"checkpoint-{epoch:05d}-{iteration:07d}.pt"
        with writing(path) as file:
            torch.save(state, file)
        # Later ones were damaged: training would not have begun before them.
        kept = [other for other in self.checkpoints() if other <= path][:KEPT]
        for old in set(self.checkpoints()) - set(kept):
            old.unlink()
        return path

    def save_best(self, state: dict[str, Any]) -> None:
        """Write best.pt, whole or not at all."""
        with writing(self._best) as file:
            torch.save(state, file)

    def load(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Read the newest checkpoint that is whole (None if there is none), and a line for each that is damaged."""
        damaged: list[str] = []
        for path in self.checkpoints():
            try:
                return read_checkpoint(path), damaged
            except InputError as error:
                damaged.append(str(error))
        return None, damaged

    def checkpoint(self, which: str = "last") -> dict[str, Any]:
        """Give the content of the `last` checkpoint that is whole, or of the `best`; InputError if there is none."""
        if which == "best":
            if not self._best.exists():
                if isinstance(self.config, BaselineConfig):
                    raise InputError(f"run {self.name} is of a baseline, which keeps no best.pt: take the last encoder")
                if self.config.validate_every:
                    raise InputError(f"run {self.name} has no best.pt, as nothing was validated: take the last encoder")
                raise InputError(
                    f"run {self.name} has no best.pt: train with --validate-every, or take the last encoder"
                )
            try:
                return read_checkpoint(self._best)
            except InputError as error:
                raise InputError(f"{error}: take the last encoder of run {self.name}") from error
        content, damaged = self.load()
        if content is None and damaged:
            other = " or take its best encoder (--checkpoint best)" if self._best.exists() else ""
            raise InputError(
                f"{'; '.join(damaged)}: run {self.name} has no other checkpoint, train it again from the start"
                f" (make train RUN={self.name}){other}"
            )
        if content is None:
            raise InputError(f"run {self.name} has no checkpoint yet: train it first (make train RUN={self.name})")
        for line in damaged:
            _log.warning(f"{line}: the checkpoint before it is taken")
        return content


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU: tensors and plain values, nothing else is loaded; InputError if damaged."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not compare the checksums of what it reads.
            spoilt = archive.testzip()
        if spoilt is not None:
            raise InputError(f"{path} is damaged (in {spoilt})")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such checkpoint") from error
    except PermissionError:  # The file may well be whole.
        raise
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise InputError(f"{path} is damaged ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict) or "epoch" not in content:
        raise InputError(f"{path} is damaged (it holds no checkpoint of a training)")
    return content


def check(run: Run, config: Config, manifest: Manifest, taught_by: str = "clusters") -> None:
    """Refuse a run that has learned something by other settings, shards or labels; nothing is written.

    Raises InputError, which names what differs.
    """
    if not run.begun or not (run.folder / "config.json").exists():
        return
    _check_settings(run, config)
    theirs = run.facts.get("taught_by", "clusters")
    if theirs != taught_by:
        raise InputError(f"run {run.name} was taught by {theirs}, not by {taught_by}: give another run name")
    if run.facts.get("key") != manifest.key:
        raise InputError(f"run {run.name} was started on the shards {run.sync}: give another run name, or those")
    # A photo that was left out and came in later moves the numbers of all behind it, by which pseudo labels go.
    theirs = run.facts.get("photos", manifest.photos)
    if theirs != manifest.photos:
        raise InputError(
            f"run {run.name} was started on {theirs:,} photos of the shards, which have {manifest.photos:,} now: give "
            "another run name"
        )


def start(
    folder: Path,
    config: Config,
    sync: Path,
    manifest: Manifest,
    device: torch.device,
    taught_by: str = "clusters",
) -> Run:
    """Make a run's folder, or open the one there, whose settings and shards must be these if it has learned anything.

    Raises InputError as `check` does.
    """
    run = Run(folder)
    check(run, config, manifest, taught_by)
    origin = {"root": manifest.root, "list": manifest.list_file, "list_sha256": manifest.list_sha256}
    facts = {**origin, "photos": manifest.photos, "taught_by": taught_by}
    return _open(run, config, sync, manifest.dataset, manifest.key, facts, device)


def check_baseline(run: Run, config: BaselineConfig, benchmark: Benchmark) -> None:
    """Refuse a run that has learned something by other settings or from another data set; nothing is written.

    Raises InputError, which names what differs.
    """
    if not run.begun or not (run.folder / "config.json").exists():
        return
    _check_settings(run, config)
    theirs = run.facts["dataset"]
    if theirs != benchmark.name:
        raise InputError(f"run {run.name} was started on {theirs}, not {benchmark.name}: give another run name")


def start_baseline(run: Run, config: BaselineConfig, benchmark: Benchmark, device: torch.device) -> None:
    """Make the folder of a baseline's run, or open the one there, after `check_baseline`."""
    listed = benchmark.list_file
    origin = {
        "root": str(benchmark.root.absolute()),
        "list": str(listed.absolute()) if listed else None,
        "list_sha256": benchmark.list_sha256,
    }
    _open(run, config, None, benchmark.name, None, origin, device)


def _check_settings(run: Run, config: Config | BaselineConfig) -> None:
    """Refuse a run of other settings."""
    if type(run.config) is not type(config):
        other = "make baseline" if isinstance(run.config, BaselineConfig) else "make train"
        raise InputError(f"run {run.name} is one of `{other}`: give another run name")
    theirs = dataclasses.asdict(run.config)
    for name, value in dataclasses.asdict(config).items():
        if theirs[name] != value:
            raise InputError(
                f"run {run.name} was started with {name} {theirs[name]}, not {value}: give another run name,"
                " or the same settings to go on"
            )


def _open(
    run: Run,
    config: Config | BaselineConfig,
    sync: Path | None,
    dataset: str,
    key: str | None,
    facts: dict[str, Any],
    device: torch.device,
) -> Run:
    """Make a run's folder, or open the one there after it was checked, and note these facts of its data.

    Labels are read from where they say.
    """
    folder = run.folder
    for part in folder.glob(f".*{SUFFIX}"):
        part.unlink(missing_ok=True)
    if run.begun and (folder / "config.json").exists():
        if run.facts | facts != run.facts:
            run.note(**facts)
        return run
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").unlink(missing_ok=True)
    run.note(
        started=_now(),
        command=shlex.join(["python", "-m", "trainer", *sys.argv[1:]]),
        commit=_commit(),
        digest=config.digest,
        dataset=dataset,
        **facts,
        key=key,
        device=_device_name(device),
        python=platform.python_version(),
        packages={name: version for name in PACKAGES if (version := _version(name))},
        finished=None,
    )
    shards = {"sync": str(sync)} if sync else {}
    write_json(folder / "config.json", {**shards, "settings": dataclasses.asdict(config)})
    return run


def finish(run: Run) -> None:
    """Mark the run as finished."""
    run.note(finished=_now())


def read_config(path: Path) -> tuple[Config | BaselineConfig, Path]:
    """Read settings and the folder of shards, which a baseline lacks, from a config.json; InputError if it is none."""
    content = _read_json(path)
    if not isinstance(content.get("settings"), dict):
        raise InputError(f"{path}: is no run's config.json (it has no settings)")
    if "method" in content["settings"]:
        return read_baseline(content["settings"]), Path()
    settings = {name: value for name, value in content["settings"].items() if name not in RETIRED}
    return make_config("paper", settings), Path(content.get("sync", ""))


def last_run(folder: Path = RUNS) -> Run:
    """Give the run in this folder that was started or finished last, of those that have learned anything.

    Raises InputError if there is none.
    """
    begun = [path for path in folder.glob("*/run.json") if Run(path.parent).begun]
    if not begun:
        raise InputError(f"there is no run with a checkpoint in {folder}: train one first (make train)")
    return Run(max(begun, key=lambda path: path.stat().st_mtime).parent)


def find_run(name: str, folder: Path = RUNS) -> Run:
    """Give the run of this name in this folder; InputError that names those there are."""
    run = Run(folder / name)
    if not (run.folder / "config.json").exists():
        there = ", ".join(sorted(path.parent.name for path in folder.glob("*/config.json"))) or "none"
        raise InputError(f"there is no run {name} in {folder} (there: {there})")
    return run


def find_checkpoint(run_or_path: str | Path, which: str = "last") -> tuple[Config | BaselineConfig, dict[str, Any]]:
    """Give a run's settings and the content of one of its checkpoints.

    Args:
        run_or_path: a run's name, a run's folder, or a checkpoint file in one.
        which: of a run, `last` or `best`.

    Raises:
        InputError: there is no such run or checkpoint, or it is damaged.
    """
    if which not in ("last", "best"):
        raise InputError(f"there is no {which!r} encoder of a run: choose last or best")
    path = Path(run_or_path)
    if path.is_file():
        return read_config(path.parent / "config.json")[0], read_checkpoint(path)
    named = isinstance(run_or_path, str) and len(path.parts) == 1 and (RUNS / path / "config.json").exists()
    if path.is_dir() and not named:
        run = Run(path)
    elif len(path.parts) == 1:
        run = find_run(path.name)
    else:
        raise InputError(f"{path}: there is no such run or checkpoint; give a run's name, its folder, or a checkpoint")
    return run.config, run.checkpoint(which)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no settings")
    return content


def _place(facts: dict[str, Any]) -> Path:
    return Path(facts.get("list") or facts["root"])


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _commit() -> str | None:
    """The commit of this code, with a + where the tree has changes; None outside a repository."""
    try:
        commit, changes = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changes else "")


def _git(*words: str) -> str:
    here = Path(__file__).parent
    return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
