"""The search from Python: `search`, `open_run` and `load`, over what the commands use. Nothing heavy is imported before it is needed.

from nas import load, open_run, search

run = search(space="pix", budget=20)
run.front()                       # a pandas DataFrame
run.pick("knee").network()        # a torch.nn.Module with its weights
run.study                         # the Optuna study
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import UserError

if TYPE_CHECKING:
    import pandas
    from torch import nn

    from nas.archive import Archive
    from nas.pick import Pick
    from search_spaces.architecture import Architecture


def search(
    *, out: str | Path | None = None, resume: str | Path | None = None, config: str | Path | None = None, **options: Any
) -> Run:
    """Searches, and returns the run when its budget is spent or someone has stopped it.

    Args:
        out: the run folder to be made; `runs/SPACE-DATASET-N` where it is not given.
        resume: a run to go on with, in place of a new one.
        config: a TOML file with options.
        options: as the flags of `python -m nas.search`, with underscores: `space="mixed"`, `limit="macs<=20M"`, `budget=100`.

    Raises:
        UserError: with every fault of the options.
    """
    from nas.search import new_session, resumed_session
    from nas.summary import write_report

    file = None if config is None else str(config)
    if resume is not None:
        if out is not None:
            raise UserError("resume goes on with a run where it is: leave out the new folder")
        session = resumed_session(str(resume), options, file)
    else:
        session = new_session(options, file, out=None if out is None else str(out))
    session.run()
    write_report(session.folder, session.archive)
    return Run(session.folder.path)


def open_run(path: str | Path) -> Run:
    """A run, finished or going on, as it is now.

    Raises:
        UserError: there is no run at the path.
    """
    from nas.run import RunFolder

    return Run(RunFolder.open(path).path)


def load(folder: str | Path) -> nn.Module:
    """The network of an export, in eval mode; it takes normalised images, see `card.json` and `model.py` there.

    Nothing of the folder is executed: the network is built from `architecture.json`, its weights are read as safetensors.

    Raises:
        UserError: the folder is no export, or its weights are damaged.
    """
    from nas.exports.rebuild import rebuild

    path = Path(folder)
    try:
        architecture = json.loads((path / "architecture.json").read_text(encoding="utf-8"))
        network: nn.Module = rebuild(architecture, path / "weights.safetensors")[0]
    except (OSError, ValueError) as error:
        raise UserError(
            f"{str(folder)!r} is no export ({error}): give a folder that python -m nas.export has made"
        ) from None
    return network


@dataclass(frozen=True)
class Run:
    """A run folder. What it shows is read once; `open_run` again shows what has come since."""

    path: Path

    @cached_property
    def archive(self) -> Archive:
        """All trials."""
        from nas.archive import Archive

        return Archive.open(self.path)

    @cached_property
    def study(self) -> Any:
        """The Optuna study, for its plots and its dashboard."""
        from nas.archive import open_study

        return open_study(self.path)

    def front(self) -> pandas.DataFrame:
        """The Pareto front, cheapest first: number, key, scores and architecture of each member."""
        return self._frame(self.archive.front())

    def members(self) -> pandas.DataFrame:
        """Every evaluated architecture, in the same columns."""
        from nas.members import members

        return self._frame(members(self.archive.trials))

    def _frame(self, found: Any) -> pandas.DataFrame:
        import pandas

        from nas.report.table import describe, rows

        lines = rows(found, self.archive.objectives)
        for line, member in zip(lines, found, strict=True):
            line["architecture"] = describe(member.trial.architecture)
        return pandas.DataFrame(lines)

    def pick(self, rule: str) -> Picked:
        """A member by `knee`, `best:OBJECTIVE`, `prefer:BOUNDS,OBJECTIVE`, `weights:OBJECTIVE=W,…` or `key:KEY`.

        Raises:
            UserError: the rule is none of these, or names nothing.
        """
        from nas.members import members
        from nas.pick import pick

        archive = self.archive
        return Picked(self, pick(rule, archive.front(), members(archive.trials), archive.objectives), rule)


@dataclass(frozen=True)
class Picked:
    """A chosen architecture of a run."""

    run: Run
    choice: Pick
    rule: str

    @property
    def key(self) -> str:
        """Its key."""
        return self.choice.member.trial.key

    @property
    def reason(self) -> str:
        """Why it was chosen."""
        return self.choice.reason

    @property
    def scores(self) -> dict[str, float]:
        """Its scores, as measured by the search."""
        return dict(self.choice.member.scores)

    @property
    def architecture(self) -> Architecture:
        """What it is."""
        from search_spaces.architecture import Architecture

        return Architecture.from_json(self.choice.member.trial.architecture)

    def network(self, *, weights: str = "auto") -> nn.Module:
        """The network in eval mode with its weights: of nas.train where there are any, else of the search.

        Raises:
            UserError: weights are missing or damaged.
        """
        from nas.exports.rebuild import find_weights, rebuild
        from nas.run import RunFolder

        member = self.choice.member
        path, _ = find_weights(RunFolder.open(self.run.path), member, which=weights)
        network: nn.Module = rebuild(member.trial.architecture, path)[0]
        return network

    def export(self, to: str | Path, **wishes: Any) -> dict[str, Any]:
        """Writes it to a new folder as `python -m nas.export` does; `certify=True`, `int8=True` and so on. Returns its card.

        Raises:
            UserError: the folder exists, or weights or images are missing.
        """
        from nas.exports.package import Wishes, export
        from nas.exports.rebuild import check_new
        from nas.run import RunFolder

        folder = RunFolder.open(self.run.path)
        target = check_new(to)
        return export(folder, self.run.archive, self.choice, target, rule=self.rule, wishes=Wishes(**wishes))
