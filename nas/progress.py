"""How a search shows itself while it runs: one live line on a terminal, plain lines when piped; it knows no worker."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from evaluators.objective import Objective
from nas.archive import Archive
from nas.problem import Trial

PLAIN_SECONDS = 10.0
REDRAW_SECONDS = 0.25
# Drawing takes at most this share of the time: the front of a long run costs more than a quarter of a second is worth.
SHARE = 0.02


@dataclass
class Progress:
    """A context in which `update` may be called as often as one likes."""

    archive: Archive
    budget: int
    workers: int
    started: float = field(default_factory=time.monotonic)
    _already: int = 0
    _live: Any = None
    _last: float = 0.0
    _volume: float | None = None
    _counted: int = -1
    _cost: float = 0.0

    def __enter__(self) -> Progress:
        self._already = self.archive.spent
        if sys.stdout.isatty():
            from rich.live import Live

            self._live = Live(self.line(), auto_refresh=False, transient=True)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def update(self, trial: Trial | None) -> None:
        """Redraws the live line, or prints a plain one for a failed trial and every ten seconds."""
        now = time.monotonic()
        if self._live is not None:
            if now - self._last >= max(REDRAW_SECONDS, self._cost / SHARE):
                self._live.update(self.line(), refresh=True)
                self._last = time.monotonic()
                self._cost = self._last - now
            if trial is not None and trial.failure:
                self._live.console.print(_failure(trial), highlight=False, markup=False)
            return
        if trial is not None and trial.failure:
            print(_failure(trial), flush=True)
        if trial is not None and (
            now - self._last >= max(PLAIN_SECONDS, self._cost / SHARE) or self.archive.spent >= self.budget
        ):
            print(self.line(), flush=True)
            self._last = time.monotonic()
            self._cost = self._last - now

    def line(self) -> str:
        """Finished, pruned, failed, budget, hypervolume, best of the first objective, and the time left."""
        finished = self.archive.having("finished")
        if len(finished) != self._counted:
            self._counted, self._volume = len(finished), self.archive.hypervolume()
        pruned = self.archive.count("pruned")
        parts = [f"{self.archive.spent}/{self.budget} {'finished or pruned' if pruned else 'finished'}"]
        parts += [f"{pruned} pruned"] if pruned else []
        parts += [f"{self.archive.count('failed')} failed"]
        if self._volume is not None:
            parts.append(f"hypervolume {self._volume:.3f}")
        parts += best(finished, self.archive.objectives[:1])
        elapsed = time.monotonic() - self.started
        done = self.archive.spent - self._already
        parts.append(f"{clock(elapsed)} gone")
        if done:
            parts.append(f"{clock(elapsed / done * (self.budget - self.archive.spent))} left")
        return " · ".join(parts)


def best(finished: Sequence[Trial], objectives: Sequence[Objective]) -> list[str]:
    """The best of each objective so far, as words."""
    words = []
    for objective in objectives:
        values = [trial.scores[objective.name] for trial in finished if objective.name in trial.scores]
        if values:
            words.append(f"best {objective.name} {max(values) if objective.goal == 'max' else min(values):.4g}")
    return words


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _failure(trial: Trial) -> str:
    return f"trial {trial.number} failed ({trial.failure}): {trial.message}"
