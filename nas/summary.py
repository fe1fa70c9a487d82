"""What a search says when it ends: the front, what it cost, and the commands to look further."""

from __future__ import annotations

from evaluators.evaluation import write_atomically
from nas.archive import Archive
from nas.loop import Ending
from nas.pick import knee_of
from nas.progress import clock
from nas.promotion import curve, epochs_trained
from nas.report.beside import beside
from nas.report.table import front_table
from nas.run import RunFolder

WORDS = {
    "budget": "the budget is spent",
    "exhausted": "the space holds nothing more within the limits",
    "failures": "twenty trials in a row failed",
    "interrupted": "stopped; nothing finished is lost",
}


def write_report(folder: RunFolder, archive: Archive) -> None:
    """Writes `report.html` into the run's folder, once a trial has finished."""
    from nas.report.beside import beside
    from nas.report.page import page

    found = archive.front()
    if found:
        title, more = folder.path.resolve().name, beside(folder, archive)
        text = page(archive, found, title=title, run=str(folder.path), beside=more)
        write_atomically(folder.path / "report.html", text.encode())


def epochs_saved(archive: Archive) -> str:
    """What stopping at rungs saved, in words; the empty text where no trial was stopped."""
    pruned = [trial for trial in archive.having("pruned") if curve(trial)]
    if not pruned:
        return ""
    epochs, trials = int(archive.recipe["epochs"]), [*archive.having("finished"), *pruned]
    whole, spent = epochs * len(trials), epochs_trained(trials, epochs)
    return f"stopping at rungs: {spent} of {whole} epochs were trained ({spent / whole:.0%})"


def print_summary(folder: RunFolder, archive: Archive, *, ending: Ending, rejected: int) -> None:
    """Prints the front and the cost of a run, and how to go on."""
    from nas.console import open_console

    console = open_console()
    found = archive.front()
    if found:
        console.print()
        knee, more = knee_of(found, archive.objectives).trial.key, beside(folder, archive)
        console.print(front_table(found, archive.objectives, knee=knee, beside=more))
    failed = archive.having("failed")
    seconds = sum(sum(t.details.get("seconds", {}).get(k, 0.0) for k in ("total", "time")) for t in archive.trials)
    volume = archive.hypervolume()
    console.print()
    console.print(f"{WORDS[ending]}: {archive.tally()}")
    if saved := epochs_saved(archive):
        console.print(saved)
    if archive.limits:
        limits = ", ".join(map(str, archive.limits))
        console.print(f"{rejected} architectures were rejected before training ({limits})")
    if volume is not None:
        line = f"front of {len(found)}, hypervolume {volume:.3f}, {clock(seconds)} of evaluation on the workers"
        console.print(line)
    if ending == "failures" and failed:
        console.print(f"the last failure was {failed[-1].failure}: {failed[-1].message}", soft_wrap=True)
    path = folder.path
    if ending == "interrupted":
        lines = [("go on", f"python -m nas.search --resume {path}")]
    else:
        lines = [("more trials", f"python -m nas.search --resume {path} --budget {2 * max(1, archive.spent)}")]
    if found:
        lines = [
            ("look", f"{path}/report.html, or python -m nas.front {path}"),
            ("take away", f"python -m nas.export {path} --pick knee --to {path}/exports/knee"),
            *lines,
        ]
    console.print()
    for word, command in lines:
        console.print(f"{word:>12}: {command}", soft_wrap=True)
