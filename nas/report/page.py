"""A run as one self-contained HTML page, which works offline under a strict content security policy; it knows no server.

The only door to plotly. The page is `assets/template.html` with the style, plotly, the script and the data written into it.
Scripts run by their hash alone, the data are text to the browser, and nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from nas.members import Member
from nas.report.page_data import page_data

if TYPE_CHECKING:
    from nas.archive import Archive
    from nas.report.beside import Beside

SCRIPTS = ("core", "front", "drawing", "parallel", "evidence", "table", "main")


def page(
    archive: Archive, front: Sequence[Member], *, title: str, run: str | None = None, beside: Beside | None = None
) -> str:
    """The page of a run; `run` is the path that its commands name, `beside` what its folder tells besides the scores."""
    return render(page_data(archive, front, title=title, run=run, beside=beside), live=False)


def render(data: Mapping[str, Any], *, live: bool) -> str:
    """The page of what `page_data` gave; a live one asks its own server for `data.json` again and again."""
    parts = {
        "title": html.escape(str(data["title"])),
        "policy": html.escape(policy(live=live), quote=True),
        "live": "true" if live else "false",
        "taken": _taken(),
        "style": _style(),
        "data": to_json(data),
        "plotly": _plotly(),
        "script": _script(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("template.html"))


def policy(*, live: bool) -> str:
    """The content security policy: our scripts and our style by their hashes, and nothing from anywhere.

    Plotly sets style attributes on the elements that it draws and opens one empty style sheet; neither can run anything or,
    images being data alone, call out.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(_plotly())} {_hash(_script())}",
            f"style-src-elem {_hash(_style())} {_hash('')}",
            "style-src-attr 'unsafe-inline'",
            "img-src data: blob:",
            "connect-src 'self'" if live else "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def to_json(data: Mapping[str, Any]) -> str:
    """JSON that may stand within a script element: no `<` ends it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


@cache
def _asset(name: str) -> str:
    return (files("nas.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _style() -> str:
    return _asset("style.css")


@cache
def _script() -> str:
    return '"use strict";\n(() => {\n' + "".join(_asset(f"{name}.js") for name in SCRIPTS) + "})();\n"


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    if re.search(r"</script|<!--|\r", script, re.IGNORECASE):
        raise RuntimeError(
            "this version of plotly.js cannot be written into a page as it is: install another version of plotly"
        )
    return script


@cache
def _taken() -> str:
    """Elements with the ids of the style sheets that plotly would add for its maps, which the policy would refuse: so it adds none."""
    ids = re.findall(r'getElementById\("([0-9a-f]{64})"\)', _plotly())
    return "\n".join(f'<meta name="no-style" id="{name}">' for name in sorted(set(ids)))


@cache
def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
