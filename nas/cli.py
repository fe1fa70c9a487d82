"""The console script `nas`: `nas search …` is `python -m nas.search …`, and so for every command."""

from __future__ import annotations

import difflib
import sys
from importlib import import_module

COMMANDS: dict[str, str] = {
    "search": "search for architectures, or go on with a run",
    "front": "show the Pareto front of a run",
    "train": "train chosen networks by the full recipe",
    "export": "take a network away: source, weights, ONNX",
    "audit": "check how well short trainings rank networks",
    "latency": "build the latency table of a device",
    "doctor": "check a run folder and say how to repair it",
    "bench": "compare algorithms on tabular benchmarks",
    "published": "list the published networks and their counts",
}


def main() -> int:
    """Runs the sub-command named first."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        command = import_module(f"nas.{name}")
        code: int = command.main(sys.argv[2:])
        return code
    listing = "\n".join(f"  {command:<10} {text}" for command, text in COMMANDS.items())
    if name in {"-h", "--help"}:
        print(f"usage: nas COMMAND …\n\n{listing}\n\nnas COMMAND --help says more.")
        return 0
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    print(f"nas: {name!r} is no command: {f'did you mean {near[0]}?' if near else 'see nas --help'}", file=sys.stderr)
    return 2
