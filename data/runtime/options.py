"""Options: the fields of a dataclass of settings as options of a command, so that each setting is written down once."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]

PATH = click.Path(path_type=Path)


class Size(click.ParamType[tuple[int, int]]):
    """HEIGHTxWIDTH in pixels, as a tuple (height, width)."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Read what was typed; a tuple is taken as it is."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value)
        if not found:
            self.fail(f"{value!r} is no size: give height and width, as in 256x128", param, ctx)
        return int(found[1]), int(found[2])


def option(text: str, kind: Any = str, *names: str) -> dict[str, Any]:
    """Give the metadata of a dataclass's field that becomes an option; the field's default is the option's.

    Args:
        text: what `--help` says of it.
        kind: click's type of its value; bool makes a flag.
        names: the option's names; by default the field's, with hyphens.
    """
    return {"help": text, "kind": kind, "names": names}


def settings_option(settings: type[Any], argument: str) -> Callable[[Command], Command]:
    """Give a command the options of a dataclass, and the settings that were chosen as one argument in their place.

    A field whose default is made by another such dataclass has that one's options.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def chosen(**values: Any) -> Any:
            made = _make(settings, values)
            return command(**{argument: made}, **values)

        optioned: Command = chosen
        for add in reversed(_options(settings)):
            optioned = add(optioned)
        return optioned

    return decorate


def _options(settings: type[Any]) -> list[Callable[[Command], Command]]:
    options: list[Callable[[Command], Command]] = []
    for field in dataclasses.fields(settings):
        if dataclasses.is_dataclass(field.default_factory):
            options += _options(field.default_factory)
            continue
        names = field.metadata["names"] or ("--" + field.name.replace("_", "-"),)
        flag = field.metadata["kind"] is bool
        options.append(
            click.option(
                *names,
                field.name,
                type=None if flag else field.metadata["kind"],
                is_flag=flag,
                default=field.default,
                show_default=field.default is not None and not flag and field.default != "",
                help=field.metadata["help"],
            )
        )
    return options


def _make(settings: type[Any], values: dict[str, Any]) -> Any:
    """Make the settings of the values of their options, which are taken out of `values`."""
    fields = {}
    for field in dataclasses.fields(settings):
        if dataclasses.is_dataclass(field.default_factory):
            fields[field.name] = _make(field.default_factory, values)
        else:
            fields[field.name] = values.pop(field.name)
    return settings(**fields)
