"""The options of an audit, each declared once; it imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from evaluators.training.recipe import RECIPES
from nas.audits.record import FOLDER
from nas.config import SearchConfig
from nas.errors import UserError
from nas.options import at_least, one_of, option
from nas.workers.catalogue import BACKENDS
from search_spaces.catalogue import SPACES


def _rungs(value: tuple[str, ...]) -> str | None:
    if value and all(text.isdigit() and int(text) > 0 for text in value):
        return None
    return f"takes numbers of epochs, as 1,2,3; got {','.join(value)!r}"


@dataclass(frozen=True)
class AuditConfig:
    """What is trained, how long and how often."""

    space: str = option("pix", "search space", metavar="NAME", check=one_of(lambda: SPACES), group="what")
    dataset: str = option("digits", "data set, or folder:DIR", metavar="NAME", group="what")
    data_dir: str = option("", "folder in which the data set lies", metavar="DIR", group="what")
    download: bool = option(False, "fetch the data set if it is missing", group="what")
    skip_broken: bool = option(False, "leave out images that cannot be read", group="what")
    train_images: int = option(0, "train on so many images; 0 for all", metavar="N", check=at_least(0), group="what")
    limit: tuple[str, ...] = option((), 'only networks within a bound, as "macs<=20M"', metavar="BOUND", group="what")
    recipe: str = option(
        "proxy", "the recipe that is audited", metavar="NAME", check=one_of(lambda: RECIPES), group="what"
    )
    networks: int = option(
        12, "number of networks, from the cheapest to the dearest", metavar="N", check=at_least(4), group="how"
    )
    rungs: tuple[str, ...] = option(
        ("1", "2", "3"), "epochs of the short trainings", metavar="N,N,…", check=_rungs, group="how"
    )
    epochs: int = option(15, "epochs of the long training", metavar="N", check=at_least(2), group="how")
    seeds: int = option(2, "trainings of each kind", metavar="N", check=at_least(2), group="how")
    wanted: float = option(
        0.7, "the Kendall τ that a rung should reach", metavar="TAU", check=at_least(-1), group="how"
    )
    seed: int = option(0, "seed of the audit", metavar="N", check=at_least(0), group="how")
    to: str = option(str(FOLDER), "folder of the results", metavar="DIR", group="how")
    backend: str = option(
        "ray", "where trainings run: ray or in_process", metavar="NAME", check=one_of(lambda: BACKENDS), group="where"
    )
    workers: int = option(
        0, "trainings at a time, 0 for one a core or GPU", metavar="N", check=at_least(0), group="where"
    )
    device: str = option(
        "auto", "auto, cpu or cuda", metavar="NAME", check=one_of(("auto", "cpu", "cuda")), group="where"
    )

    def search(self) -> SearchConfig:
        """The search whose proxy is audited; its recipe keeps its own epochs."""
        names = {field.name for field in fields(SearchConfig)} - {"epochs"}
        return SearchConfig(**{name: value for name, value in vars(self).items() if name in names})


def base_of(run: str) -> dict[str, Any]:
    """The options that an audit takes from a run.

    Raises:
        UserError: there is no run, or it looked its scores up in a table.
    """
    from nas.options import read_toml, resolve
    from nas.plan import recipe_of
    from nas.run import RunFolder

    saved = read_toml(RunFolder.open(run).config)
    if str(saved["space"]).startswith("table:"):
        raise UserError(f"the run {run!r} looked its scores up in a table: it has no proxy to audit")
    names = {"space", "dataset", "data_dir", "skip_broken", "train_images", "recipe", "seed"}
    base = {name: value for name, value in saved.items() if name in names}
    known: dict[str, Any] = {name: saved[name] for name in ("recipe", "epochs") if name in saved}
    own = recipe_of(resolve(SearchConfig, {}, base=known)).epochs
    return {**base, "rungs": [str(epochs) for epochs in sorted({1, 2, 3, own})], "epochs": max(15, 3 * own)}
