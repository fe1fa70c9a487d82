"""`python -m nas.published`: the published networks, their counts here, and the figures of the papers."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from nas.errors import UserError, run_command

EXAMPLES = """examples:
  python -m nas.published
  python -m nas.published muxnet_m pix_resnet50
  python -m nas.published --json

in Python:
  from search_spaces import published
  network = published.build("muxnet_m", num_classes=10)
"""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command("nas published", _command, arguments)


def _command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nas.published",
        description="List the published networks: parameters and multiply-adds counted here at 224×224 pixels and 1,000 "
        "classes, beside the papers' figures. A difference of 0 means that the count rounds to the printed figure.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="networks to list; all of them without")
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else")
    options = parser.parse_args(arguments)

    from search_spaces.published import NETWORKS

    unknown = [name for name in options.names if name not in NETWORKS]
    if unknown:
        raise UserError(f"a published network is one of {', '.join(NETWORKS)}; got {unknown[0]!r}")
    rows = [_row(name) for name in options.names or NETWORKS]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        _print(rows)
    return 0


def _row(name: str) -> dict[str, Any]:
    """Counts of one network, the paper's figures as printed, and the differences as fractions."""
    from functools import partial

    from evaluators.counts import measure
    from search_spaces.published import NETWORKS, build, deviation

    entry = NETWORKS[name]
    params, macs = measure(partial(build, name), (1, 3, 224, 224))
    return {
        "name": name,
        "params": params,
        "macs": macs,
        "paper_params": entry.params or None,
        "paper_macs": entry.macs or None,
        "params_difference": deviation(params, entry.params) if entry.params else None,
        "macs_difference": deviation(macs, entry.macs) if entry.macs else None,
        "source": entry.source,
        "note": entry.note,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from nas.console import open_console

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("network", no_wrap=True)
    for column in ("params", "paper", "±", "MACs", "paper", "±"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("source", overflow="fold")
    notes = list(dict.fromkeys(row["note"] for row in rows if row["note"]))
    for row in rows:
        mark = f" [{notes.index(row['note']) + 1}]" if row["note"] else ""
        table.add_row(
            row["name"],
            f"{row['params']:,}",
            row["paper_params"] or "–",
            _percent(row["params_difference"]),
            f"{row['macs']:,}",
            row["paper_macs"] or "–",
            _percent(row["macs_difference"]),
            row["source"] + mark,
        )
    console = open_console()
    console.print(table)
    for number, note in enumerate(notes, 1):
        console.print(f"[{number}] {note}")


def _percent(fraction: float | None) -> str:
    if fraction is None:
        return ""
    return f"{fraction:+.1%}" if fraction else "0"


if __name__ == "__main__":
    sys.exit(main())
