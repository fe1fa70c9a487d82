"""What can be wrong with a run folder, looked at line by line without trusting any of it; it trains nothing and imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import UserError
from nas.run import RunFolder, repair_tail, torn_tail, weights_name

BACKUP = "restore it from a backup"
SHOWN = 5


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found, whether that is a fault, and how to repair it."""

    what: str
    found: str
    fault: bool = False
    repair: str = ""


def examine(folder: RunFolder) -> list[Check]:
    """Looks at everything; changes nothing."""
    return _kinds(folder) or [
        *_environment(folder),
        *_config(folder),
        *_study(folder),
        *_events(folder),
        *_remains(folder),
        *_driver(folder),
    ]


def repair(folder: RunFolder) -> Iterator[str]:
    """Mends what loses nothing: torn last lines, and remains of writes that a crash cut short. Call it with the run locked."""
    for file, record in ((folder.journal, b'{"op_code":'), (folder.events, b'{"time":')):
        if file.is_file():
            cut = repair_tail(file, record=record)
            if cut:
                yield f"cut {cut} bytes of a torn last line off {file.name}"
    for part in _parts(folder):
        part.unlink(missing_ok=True)
        yield f"removed {part.name}, the remains of a write that was cut short"


def _kinds(folder: RunFolder) -> list[Check]:
    """Folders and devices in the place of files: with these nothing else can be looked at."""
    found = "it should be a {}, and is something else"
    return [
        Check(path.name, found.format("folder" if path == folder.weights else "file"), fault=True, repair=BACKUP)
        for path in folder.misplaced()
    ]


def _environment(folder: RunFolder) -> list[Check]:
    try:
        RunFolder.open(folder.path)
    except UserError as error:
        return [Check("environment.json", str(error), fault=True, repair="as it says")]
    about = folder.read_environment()
    return [Check("environment.json", f"format {about['format']}, made by nas {about.get('nas')}")]


def _config(folder: RunFolder) -> list[Check]:
    from nas.config import SearchConfig
    from nas.options import read_toml, resolve

    try:
        resolve(SearchConfig, {}, base=read_toml(folder.config))
    except UserError as error:
        how = "mend that line, or write the file anew from the command in environment.json"
        return [Check("config.toml", str(error).splitlines()[0], fault=True, repair=how)]
    return [Check("config.toml", "readable")]


def _study(folder: RunFolder) -> list[Check]:
    """The journal line by line, then the trials in it and their weights."""
    from nas.archive import Archive

    checks = []
    try:
        in_database = bool(folder.place().url)
    except UserError:
        in_database = False
    if not in_database:
        if not folder.journal.is_file():
            return [Check("study.journal", "it is missing", fault=True, repair=BACKUP)]
        checks = _journal(folder.journal)
        if any(check.fault and "torn" not in check.found for check in checks):
            return checks
    try:
        archive = Archive.open(folder.path)
    except UserError as error:
        return [*checks, Check("study", str(error), fault=True, repair=BACKUP)]
    checks.append(Check("study", archive.tally(always=("finished", "failed", "running"))))
    told = max((event.get("finished", 0) for event in _read_events(folder) if event.get("event") == "ended"), default=0)
    if isinstance(told, int) and told > archive.count("finished"):
        found = f"events.jsonl tells of {told} finished trials and the study holds {archive.count('finished')}: its end is lost"
        how = f"{BACKUP}, or go on with --resume, which evaluates what is lost anew"
        checks.append(Check("study", found, fault=True, repair=how))
    return [*checks, *_architectures(archive), *_weights(folder, archive)]


def _architectures(archive: Any) -> list[Check]:
    """Whether every trial tells of an architecture, which is the one of its key."""
    from nas.report.facts import drawable
    from search_spaces.architecture import key_of

    wrong = [
        str(trial.number)
        for trial in archive.trials
        if (drawn := drawable(trial.architecture)) is None or ("genes" not in drawn and key_of(drawn) != trial.key)
    ]
    if not wrong:
        return []
    return [Check("study", f"the architecture is damaged in trials {_some(wrong)}", fault=True, repair=BACKUP)]


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _journal(journal: Path) -> list[Check]:
    records, bad = 0, 0
    last = b"\n"
    with open(journal, "rb") as file:
        for number, line in enumerate(file, 1):
            last = line
            records += 1
            if line.endswith(b"\n") and not _is_record(line):
                bad = bad or number
    checks = []
    if bad:
        how = f"{BACKUP}; without one, the trials before line {bad} can be kept: head -n {bad - 1} {journal} > FILE, put FILE in its place"
        checks.append(Check("study.journal", f"line {bad} of {records} is damaged", fault=True, repair=how))
    if not last.endswith(b"\n"):
        _, tail = torn_tail(journal)
        found = f"the last line is torn ({len(tail)} bytes), as a crash leaves it"
        how = f"python -m nas.doctor {journal.parent} --repair, or --resume, which does the same"
        checks.append(Check("study.journal", found, fault=True, repair=how))
    return checks or [Check("study.journal", f"{records} records")]


def _is_record(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and isinstance(record.get("op_code"), int) and 0 <= record["op_code"] <= 10


def _weights(folder: RunFolder, archive: Any) -> list[Check]:
    """Weights of finished trials: there, whole by their header, and with the checksum that was recorded."""
    if folder.read_environment().get("weights"):
        return [Check("weights", "they lie elsewhere, at the URL in environment.json, and were not looked at")]
    faults: dict[str, list[str]] = {}
    looked = 0
    for trial in archive.having("finished"):
        recorded = trial.details.get("weights_sha256")
        path = folder.weights_of(trial.key, trial.replicate)
        if recorded is None and not path.exists():
            continue
        looked += 1
        wrong = damage(path, recorded)
        if wrong:
            faults.setdefault(wrong, []).append(weights_name(trial.key, trial.replicate))
    checks = []
    for wrong, names in faults.items():
        how = f"{BACKUP}; the trials keep their scores, and python -m nas.train {folder.path} trains a network anew"
        checks.append(Check("weights", f"{wrong}: {_some(names)}", fault=True, repair=how))
    return checks or [Check("weights", f"{looked} files are whole")]


def damage(path: Path, recorded: object) -> str:
    """What is wrong with a file of weights, the empty text for nothing."""
    from nas.workers.safely import digest

    if not path.is_file():
        return "missing"
    if recorded is not None:
        return "" if digest(path) == recorded else "not what was written (checksum)"
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, 100 << 20):
            return "damaged (no safetensors header)"
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return "" if size == 8 + length + max(ends, default=0) else "cut short"
        except (ValueError, RecursionError, KeyError, TypeError, IndexError, AttributeError):
            return "damaged (no safetensors header)"


def _read_events(folder: RunFolder) -> list[dict[str, Any]]:
    events = []
    if folder.events.is_file():
        for line in folder.events.read_bytes().splitlines():
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                events.append(event)
    return events


def _events(folder: RunFolder) -> list[Check]:
    if not folder.events.is_file():
        return []
    lines = len(folder.events.read_bytes().splitlines())
    bad = lines - len(_read_events(folder))
    if bad:
        how = (
            f"none is needed, no trial depends on it; python -m nas.doctor {folder.path} --repair cuts a torn last line"
        )
        return [Check("events.jsonl", f"{bad} of {lines} lines are damaged", fault=True, repair=how)]
    return [Check("events.jsonl", f"{lines} events")]


def _parts(folder: RunFolder) -> list[Path]:
    return sorted([*folder.path.glob("*.part"), *folder.weights.glob("*.part")])


def _remains(folder: RunFolder) -> list[Check]:
    if folder.is_driven():
        return []  # they are being written
    parts = _parts(folder)
    how = f"python -m nas.doctor {folder.path} --repair, or --resume, which does the same"
    return [Check("remains", f"{len(parts)} writes were cut short", fault=True, repair=how)] if parts else []


def _driver(folder: RunFolder) -> list[Check]:
    if not os.access(folder.path, os.W_OK):
        return [
            Check("folder", "you may not write to it", fault=True, repair=f"chmod u+w {folder.path}, or ask its owner")
        ]
    holder = folder.is_driven()
    return [Check("driver", f"{holder} drives it now" if holder else "nobody drives it now")]
