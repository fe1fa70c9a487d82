"""`python -m nas.search`: the main job. Options become a plan, the plan a run, the run a front."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nas.config import SearchConfig
from nas.errors import UserError, run_command
from nas.options import add_arguments, resolve

if TYPE_CHECKING:
    from nas.api import Run

EXAMPLES = """examples:
  python -m nas.search --space pix                       # digits, no download, a few minutes on a laptop
  python -m nas.search --space mixed --objectives accuracy,macs,params --limit "macs<=20M"
  python -m nas.search --space pix --dataset folder:my-images --budget 100 --out runs/mine
  python -m nas.search --resume runs/mine --budget 200   # after a crash or a kill, or to add budget
  python -m nas.search --space pix --describe            # what is searched
  python -m nas.search --space mixed --budget 300 --dry-run   # what it will cost
  python -m nas.search --address auto --storage postgresql+psycopg://me@db/nas   # on a cluster
"""


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_command("nas search", _command, arguments)


def _command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nas.search",
        description="Search for the image classifiers with the best trade-off between accuracy and cost.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", metavar="RUN", help="run folder to be made (default: runs/SPACE-DATASET-N)")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run, to its budget or a new one")
    parser.add_argument("--config", metavar="FILE.toml", help="options from a file; flags override them")
    parser.add_argument("--describe", action="store_true", help="print the space and stop")
    parser.add_argument("--dry-run", action="store_true", help="print plan, size of the space and cost, and stop")
    add_arguments(parser, SearchConfig)
    given = vars(parser.parse_args(arguments))
    names = ("out", "resume", "config", "describe", "dry_run")
    out, resume, file, describe, dry_run = (given.pop(name) for name in names)
    if resume is not None:
        if out is not None or describe or dry_run:
            raise UserError("--resume goes on with a run where it is: leave out --out, --describe and --dry-run")
        return _conclude(resumed_session(resume, given, file))
    if dry_run:
        from nas.cost import print_estimate

        print_estimate(resolve(SearchConfig, given, config=file))
        return 0
    if describe:
        config = resolve(SearchConfig, given, config=file)
        from nas.describe import describe as show
        from nas.plan import prepare

        show(prepare(config).problem)
        return 0
    return _conclude(new_session(given, file, out=out))


def new_session(given: dict[str, Any], file: str | None, *, out: str | None) -> Any:
    """A search to be run, of options given and a TOML file, in a new folder.

    Raises:
        UserError: with every fault of the options.
    """
    from nas.run import RunFolder
    from nas.session import begin

    config = resolve(SearchConfig, given, config=file)
    if config.settle:
        raise UserError("--settle trains known architectures again: give it with --resume RUN")
    path = Path(out) if out is not None else _free_path(config)
    return begin(config, RunFolder.check_new(path))


# Options that a resume may change: they decide how far and where a run goes, not what its trials mean.
RESUMABLE = {
    "budget",
    "backend",
    "workers",
    "trial_timeout",
    "algorithm",
    "data_dir",
    "device",
    "address",
    "storage",
    "settle",
    "stop_below",
    "trials_per_device",
}


def resumed_session(path: str, given: dict[str, Any], file: str | None) -> Any:
    """A search to be gone on with.

    Raises:
        UserError: there is no such run, or an option may not change.
    """
    from nas.options import read_toml
    from nas.run import RunFolder
    from nas.session import proceed

    folder = RunFolder.open(path)
    saved = read_toml(folder.config)
    config = resolve(SearchConfig, given, config=file, base=saved)
    for name in sorted({*given} - RESUMABLE):
        now, before = getattr(config, name), saved.get(name)
        if (list(now) if isinstance(now, tuple) else now) != before:
            raise UserError(
                f"a resumed run keeps its --{name.replace('_', '-')} ({before!r}), got {now!r}: leave it out, or start a new run"
            )
    return proceed(config, folder)


def _free_path(config: SearchConfig) -> Path:
    stem = f"{config.space}-{config.dataset}".replace(":", "-").replace("/", "_").strip("._-")[:60]
    n = 1
    while (path := Path("runs") / f"{stem}-{n}").exists():
        n += 1
    return path


def _conclude(session: Any) -> int:
    """Runs the search and says what it came to."""
    from nas.summary import print_summary, write_report

    if session.plan.recipe.name != "table":
        from nas.audits.record import sentence

        config, plan = session.config, session.plan
        recipe, checksum = plan.recipe.to_json(), plan.data["checksum"]
        print(
            sentence(config.space, config.dataset, checksum=checksum, recipe=recipe, train_images=config.train_images),
            flush=True,
        )
    ending = session.run()
    write_report(session.folder, session.archive)
    print_summary(session.folder, session.archive, ending=ending, rejected=session.rejected)
    return {"budget": 0, "exhausted": 0, "failures": 1, "interrupted": 130}[ending]


class _Callable(ModuleType):
    """This module, which can be called as the function that it is named after: `from nas import search; search(space="pix")`."""

    def __call__(self, **options: Any) -> Run:
        """See `nas.api.search`."""
        from nas.api import search

        return search(**options)


sys.modules[__name__].__class__ = _Callable

if __name__ == "__main__":
    sys.exit(main())
