"""The upper floor that learns: clustering, contrast, ranking; it never sees the redrawing network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.encoder import Encoder

__all__ = ["Encoder"]


def __getattr__(name: str) -> Any:
    # Late, so that what needs no network (settings, --help) does not load torch.
    if name == "Encoder":
        from trainer.encoder import Encoder

        return Encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
