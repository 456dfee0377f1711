"""An oracle in the place of clustering: our own training, told who is in each photo, to see what better labels give."""

from __future__ import annotations

from typing import Any, ClassVar

from data import open_benchmark
from data.runtime.errors import InputError
from trainer.loop import Trainer
from trainer.observers import people_of


class OracleTrainer(Trainer):
    """A `Trainer` whose pseudo labels are the true people: all else is as without labels.

    Args:
        arguments: as `Trainer` takes them.
        more: likewise.

    Raises:
        InputError: as `Trainer` does; there is a second encoder to cluster by; or someone is not known by name.
    """

    taught_by: ClassVar[str] = "names"

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        if self.config.labeller:
            raise InputError("an oracle needs no second encoder to cluster by: give --no-labeller --labeller-epochs 0")
        manifest = self.store.manifest
        people = people_of(open_benchmark(manifest.dataset, manifest.place), self.store)
        unknown = len(self.store) if people is None else int((people < 0).sum())
        if people is None or unknown:
            raise InputError(f"who is in {unknown:,} of {len(self.store):,} photos is not known: use `make train`")
        self.people = people

    def cluster(self) -> None:
        """Give the epoch the people as its labels."""
        self.begin_epoch(self.people, self.encode(self.state.encoder)[self.first_members(self.people)])
