"""Settings: the fields of a dataclass, each with its bounds and its help, as values that are checked and as options."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from data.runtime.errors import InputError

Command = TypeVar("Command", bound=Callable[..., Any])
Presets = Mapping[str, Mapping[str, Any]]


def setting(
    default: Any,
    text: str,
    symbol: str = "",
    choices: tuple[Any, ...] = (),
    low: float = -math.inf,
    high: float = math.inf,
) -> Any:
    """Give a field of a dataclass of settings.

    Args:
        default: its value where none is given; its type is the type of all values.
        text: what `--help` says of it.
        symbol: its letter in the paper.
        choices: all values there are; any where empty.
        low: the least value of a number.
        high: the greatest value of a number.
    """
    metadata = {"help": text, "symbol": symbol, "choices": choices, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=metadata)


def check_settings(settings: Any) -> None:
    """Check every field of a frozen dataclass of settings; a whole number in the place of another becomes a float.

    Raises:
        InputError: a value is of another type or out of its bounds.
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if type(field.default) is float and type(value) is int:
            object.__setattr__(settings, field.name, value := float(value))
        _check(field, value)


def settings_options(settings: type[Any], presets: Presets) -> Callable[[Command], Command]:
    """Give a command one option for each setting; those not named on the command line come as None.

    Args:
        settings: the dataclass.
        presets: whose values the help names beside the defaults, which it calls the paper's.
    """

    def decorate(command: Command) -> Command:
        for field in reversed(dataclasses.fields(settings)):
            meta, kind = field.metadata, type(field.default)
            flag = "--" + field.name.replace("_", "-")
            names = [f"{flag}/--no-{flag[2:]}"] if kind is bool else [flag]
            symbol = f"{meta['symbol']}: " if meta["symbol"] else ""
            choice = click.Choice(meta["choices"]) if kind is str and meta["choices"] else kind
            one_of = f" ({' or '.join(str(c) for c in meta['choices'])})" if meta["choices"] and kind is not str else ""
            text = f"{symbol}{meta['help']}{one_of}  [{_defaults(field, presets)}]"
            command = click.option(*names, field.name, type=choice, default=None, help=text)(command)
        return command

    return decorate


def _defaults(field: dataclasses.Field[Any], presets: Presets) -> str:
    """Give the paper's value of a setting, and those of the presets that have another, as `paper 30, walkers 15`."""
    values: dict[str, Any] = {"paper": field.default}
    values |= {name: preset[field.name] for name, preset in presets.items() if field.name in preset}
    if type(field.default) is bool:
        values = {name: "on" if value else "off" for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    meta, kind = field.metadata, type(field.default)
    if type(value) is not kind:
        raise InputError(f"{field.name} is {value!r}: give {'true or false' if kind is bool else f'a {kind.__name__}'}")
    if meta["choices"] and value not in meta["choices"]:
        raise InputError(f"{field.name} is {value!r}: choose one of {', '.join(str(c) for c in meta['choices'])}")
    if kind in (int, float) and not meta["low"] <= value <= meta["high"]:
        top = f" and at most {meta['high']:g}" if meta["high"] < math.inf else ""
        raise InputError(f"{field.name} is {value}: give at least {meta['low']:g}{top}")
