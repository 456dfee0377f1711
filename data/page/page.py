"""A page from a template: every value is escaped, and no script runs but the page's own."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from data.runtime.files import replacing
from data.runtime.tables import printable

_HERE = Path(__file__).parent


def make_page(template: Path, script: str = "", style: str = "", **values: Any) -> str:
    """Fill a Jinja template that extends base.html.

    Whatever text is put in is escaped and its unprintable letters, such as line breaks, are made visible; markup that
    was made on purpose is a `markupsafe.Markup`. The page's own policy lets no script run but `script`, and loads
    nothing from anywhere but pictures that it holds or that lie beside it.

    Args:
        template: the file; it may include others of its folder.
        script: JavaScript that runs when the page is there.
        style: CSS beside the house's own.
        values: what the template names.

    Raises:
        jinja2.UndefinedError: the template names something that is not given.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, _HERE]),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    house = (_HERE / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template.name).render(
        **values, style=Markup(house + style), script=Markup(script), script_digest=digest
    )


def write_page(path: Path, page: str) -> None:
    """Write a page, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _visible(value: Any) -> Any:
    return value if isinstance(value, Markup) else printable(str(value))
