"""The flag `--pick`, declared once for the commands that have it; it imports nothing heavy, and knows no front."""

from __future__ import annotations

import argparse

HELP = (
    "knee; best:OBJECTIVE; prefer:BOUNDS,OBJECTIVE (as prefer:accuracy>=0.97,macs: within the bounds, then the best of the last); "
    "weights:OBJECTIVE=W,… (the least weighted sum); key:KEY; all (the whole front). May be repeated (default: knee)"
)


def add_pick(parser: argparse.ArgumentParser) -> None:
    """Adds the flag; its value is a list of rules, or `None`."""
    parser.add_argument("--pick", metavar="RULE", action="append", help=HELP)
