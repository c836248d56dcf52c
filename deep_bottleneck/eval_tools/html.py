"""How Jupyter shows a stored experiment."""

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

from deep_bottleneck.eval_tools.configs import flat, text

THUMBNAILS = 6
_WIDTH = 240


def page(
    title: str, facts: Mapping[str, Any], config: Mapping[str, Any], pictures: Mapping[str, bytes]
) -> str:
    """A heading, two tables and small pictures.

    Args:
        title: the heading.
        facts: the first table.
        config: the second table; may be nested.
        pictures: PNG files by name.
    """
    thumbnails = "".join(_thumbnail(name, content) for name, content in pictures.items())
    return (
        f"<h4>{escape(title)}</h4>{_table(facts)}"
        f"<details><summary>config</summary>{_table(flat(config))}</details>{thumbnails}"
    )


def _table(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(key)}</th><td>{escape(text(value))}</td></tr>"
        for key, value in values.items()
    )
    return f"<table>{rows}</table>"


def _thumbnail(name: str, content: bytes) -> str:
    data = base64.b64encode(content).decode("ascii")
    return (
        f'<img alt="{escape(name)}" title="{escape(name)}" width="{_WIDTH}" '
        f'src="data:image/png;base64,{data}">'
    )
