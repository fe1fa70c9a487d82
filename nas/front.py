"""`python -m nas.front RUN`: the front of a run as a table, JSON, CSV, picture or page; also while the run goes on."""

from __future__ import annotations

import argparse
import csv
import functools
import io
import json
import sys
from pathlib import Path
from typing import Any

from nas.errors import UserError, run_command

EXAMPLES = """examples:
  python -m nas.front runs/pix-digits-1
  python -m nas.front runs/pix-digits-1 --html front.html --png front.png --csv front.csv
  python -m nas.front runs/pix-digits-1 --json | python -m json.tool
  python -m nas.front runs/pix-digits-1 --watch
"""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command("nas front", _command, arguments)


def _command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nas.front",
        description="Show the Pareto front of a run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="run folder, finished or still going")
    parser.add_argument("--json", action="store_true", help="print the front as JSON, and nothing else")
    parser.add_argument("--csv", metavar="FILE", help="write the front as CSV")
    parser.add_argument("--png", metavar="FILE", help="write a picture")
    parser.add_argument("--html", metavar="FILE", help="write one self-contained page")
    live = parser.add_argument_group("watching")
    live.add_argument("--watch", action="store_true", help="serve the page on this machine and keep it up to date")
    live.add_argument("--port", type=int, metavar="P", help="port of --watch (default: any that is free)")
    live.add_argument("--host", metavar="H", help="address of --watch (default: 127.0.0.1, this machine alone)")
    options = parser.parse_args(arguments)
    if options.watch:
        return _watch(options)
    if options.port is not None or options.host is not None:
        raise UserError("--port and --host are of --watch: add it, or leave them out")

    from nas.archive import Archive

    archive = Archive.open(options.run)
    found = archive.front()
    if options.json:
        print(json.dumps(as_json(archive, run=options.run), indent=2))
    else:
        _print_table(options.run, archive, found)
    for file, write in (("csv", _csv), ("png", _png), ("html", _html)):
        target = getattr(options, file)
        if target is not None:
            if not found:
                raise UserError(f"the run {options.run!r} has no finished trial yet: wait for the first")
            if not Path(target).parent.is_dir():
                raise UserError(
                    f"--{file} needs a folder that exists, and {str(Path(target).parent)!r} is none: make it first"
                )
            Path(target).write_bytes(write(archive, found, options.run))
            print(f"wrote {target}", file=sys.stderr)
    return 0


def _watch(options: argparse.Namespace) -> int:
    others = [f"--{name}" for name in ("json", "csv", "png", "html") if getattr(options, name)]
    if others:
        raise UserError(f"--watch goes without {', '.join(others)}: give them in a command of their own")
    from nas.serve import LOOPBACK, watch

    say = functools.partial(print, flush=True)
    return watch(options.run, host=options.host or LOOPBACK, port=options.port or 0, say=say)


def as_json(archive: Any, *, run: str) -> dict[str, Any]:
    """What `--json` prints."""
    from nas.problem import STATES
    from nas.report.beside import beside
    from nas.run import RunFolder
    from nas.training.results import read_results

    more = beside(RunFolder.open(run), archive)
    return {
        "objectives": [{"name": o.name, "goal": o.goal, "unit": o.unit} for o in archive.objectives],
        "front": [
            {
                "number": member.trial.number,
                "key": member.trial.key,
                "scores": dict(member.scores),
                "replicates": member.replicates,
                "confidence": more.confidence[member.trial.key],
                **({"measured": more.measured[member.trial.key]} if member.trial.key in more.measured else {}),
                "architecture": member.trial.architecture,
            }
            for member in archive.front()
        ],
        "trials": {state: archive.count(state) for state in STATES},
        "hypervolume": archive.hypervolume(),
        "trained": [
            {"key": result.key, "label": result.label, "test_accuracy": result.about["test_accuracy"]}
            for result in read_results(RunFolder.open(run))
        ],
    }


def _print_table(run: str, archive: Any, found: list[Any]) -> None:
    from nas.console import open_console
    from nas.pick import knee_of
    from nas.report.table import front_table, trained_table
    from nas.run import RunFolder
    from nas.training.results import read_results

    console = open_console()
    counts = archive.tally(always=("finished", "failed", "running"))
    if found:
        from nas.report.beside import beside

        knee, more = knee_of(found, archive.objectives).trial.key, beside(RunFolder.open(run), archive)
        console.print(front_table(found, archive.objectives, knee=knee, beside=more))
        volume = archive.hypervolume()
        console.print(f"\n{counts} · front of {len(found)}, ◆ its knee · hypervolume {volume:.3f}")
    else:
        console.print(f"{run}: no finished trial yet; {counts}")
    results = read_results(RunFolder.open(run))
    if results:
        console.print()
        console.print(trained_table(results))


def _csv(archive: Any, found: list[Any], run: str) -> bytes:
    from nas.report.table import rows

    lines = rows(found, archive.objectives)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(lines[0]), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()


def _png(archive: Any, found: list[Any], run: str) -> bytes:
    from nas.report.picture import picture

    return picture(archive, found)


def _html(archive: Any, found: list[Any], run: str) -> bytes:
    from nas.report.beside import beside
    from nas.report.page import page
    from nas.run import RunFolder

    more = beside(RunFolder.open(run), archive)
    return page(archive, found, title=Path(run).resolve().name, run=run, beside=more).encode()


if __name__ == "__main__":
    sys.exit(main())
