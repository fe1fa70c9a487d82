"""Options declared once, in a frozen dataclass: flags, TOML keys, help and checks come from it; it knows no option by name."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import math
import tomllib
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nas.errors import UserError

T = TypeVar("T")
Check = Callable[[Any], str | None]


def option(
    default: Any,
    help: str,
    *,
    metavar: str | None = None,
    check: Check | None = None,
    group: str = "options",
    flag: str | None = None,
) -> Any:
    """A dataclass field with its help text and a check that returns what is wrong with a value, or `None`.

    `flag` is given where the field cannot have the flag's name.
    """
    metadata = {"help": help, "metavar": metavar, "check": check, "group": group, "flag": flag}
    if isinstance(default, tuple):
        return dataclasses.field(default_factory=lambda: default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def at_least(least: float) -> Check:
    """A check for numbers."""
    return lambda value: None if value >= least else f"must be at least {least:g}, got {value:g}"


def one_of(names: Callable[[], Mapping[str, Any]] | tuple[str, ...], *, prefixes: tuple[str, ...] = ()) -> Check:
    """A check for names, which suggests the nearest one; a name that begins with one of `prefixes` passes."""

    def check(value: str) -> str | None:
        known = names if isinstance(names, tuple) else tuple(names())
        if value in known or value.startswith(prefixes or ("\0",)):
            return None
        near = difflib.get_close_matches(value[:60], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose " + ", ".join([*known, *(p + "…" for p in prefixes)])
        return f"{_brief(value)} is unknown: {hint}"

    return check


def add_arguments(parser: argparse.ArgumentParser, cls: type[Any], *, groups: Mapping[str, str] | None = None) -> None:
    """One flag for each field of the dataclass; what is not given stays out of the namespace."""
    hints = typing.get_type_hints(cls)
    sections: dict[str, argparse._ArgumentGroup] = {}
    for field in dataclasses.fields(cls):
        name = field.metadata["group"]
        if name not in sections:
            sections[name] = parser.add_argument_group(name, (groups or {}).get(name))
        flag = field.metadata["flag"] or "--" + field.name.replace("_", "-")
        default = _default(field)
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        text = field.metadata["help"] + ("" if shown in ("", None, False) else f" (default: {shown})")
        common: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        if hints[field.name] is bool:
            sections[name].add_argument(flag, action="store_true", **common)
        elif typing.get_origin(hints[field.name]) is tuple:
            sections[name].add_argument(flag, action="append", metavar=field.metadata["metavar"], **common)
        else:
            sections[name].add_argument(flag, metavar=field.metadata["metavar"] or "VALUE", **common)


def resolve(
    cls: type[T], given: Mapping[str, Any], *, config: str | None = None, base: Mapping[str, Any] | None = None
) -> T:
    """The dataclass from defaults, then `base`, then the TOML file `config`, then the flags `given`.

    Raises:
        UserError: with every fault found: unknown keys, values of the wrong type, values out of range.
    """
    faults: list[str] = []
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values = {name: _default(field) for name, field in fields.items()}
    layers: list[tuple[str, Mapping[str, Any]]] = [("", base or {})]
    if config is not None:
        layers.append((f"{config}: ", read_toml(config)))
    layers.append(("--", given))
    for prefix, layer in layers:
        for key, raw in layer.items():
            shown = prefix + (key.replace("_", "-") if prefix == "--" else key[:60])
            if key not in fields:
                near = difflib.get_close_matches(key[:60], fields, n=1)
                faults.append(f"{shown} is no option" + (f": did you mean {near[0]!r}?" if near else ": see --help"))
                continue
            try:
                values[key] = _convert(raw, hints[key])
            except ValueError as error:
                faults.append(f"{shown} {error}")
                continue
            check = fields[key].metadata["check"]
            wrong = check(values[key]) if check else None
            if wrong:
                faults.append(f"{shown} {wrong}")
    if faults:
        raise UserError(*faults)
    return cls(**values)


def read_toml(path: str | Path) -> dict[str, Any]:
    """A TOML file's top table.

    Raises:
        UserError: the file is missing or is no TOML.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise UserError(f"{str(path)!r} is no file of options but a folder or a device: give a TOML file")
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise UserError(f"the file {str(path)!r} does not exist: check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{str(path)!r} is no valid TOML ({error}): mend that line") from None


def to_toml(values: Any) -> str:
    """The dataclass as TOML, one key a line; `resolve` reads it back to an equal value."""
    lines = []
    for field in dataclasses.fields(values):
        value = getattr(values, field.name)
        # JSON's strings, numbers, booleans and flat arrays are TOML's too, but for the one control character that JSON leaves be.
        text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
        lines.append(f"{field.name} = {text}".replace("\x7f", "\\u007f"))
    return "\n".join(lines) + "\n"


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    assert field.default_factory is not dataclasses.MISSING
    return field.default_factory()


def _convert(raw: Any, kind: Any) -> Any:
    """A value of the field's type from a flag's text or a TOML value."""
    if typing.get_origin(kind) is tuple:
        items = raw if isinstance(raw, list | tuple) else [raw]
        if typing.get_args(kind)[0] is int:
            parts = [part for item in items for part in (item.split(",") if isinstance(item, str) else [item])]
            return tuple(_convert(part, int) for part in parts)
        if not all(isinstance(item, str) for item in items):
            raise ValueError(f"must be text or a list of texts, got {_brief(raw)}")
        return tuple(part.strip() for item in items for part in item.split(",") if part.strip())
    if kind is bool:
        if not isinstance(raw, bool):
            raise ValueError(f"must be true or false, got {_brief(raw)}")
        return raw
    if kind is str:
        if not isinstance(raw, str):
            raise ValueError(f"must be text, got {_brief(raw)}")
        return raw
    name = "a whole number" if kind is int else "a number"
    if isinstance(raw, bool) or not isinstance(raw, str | int | float) or (kind is int and isinstance(raw, float)):
        raise ValueError(f"must be {name}, got {_brief(raw)}")
    try:
        value = kind(raw)
        finite = math.isfinite(value)
    except (ValueError, OverflowError):
        raise ValueError(f"must be {name}, got {_brief(raw)}") from None
    if not finite:
        raise ValueError(f"must be {name}, got {_brief(raw)}")
    return value


def _brief(value: Any) -> str:
    """A value as a message shows it; whole numbers of thousands of digits cannot even be printed."""
    try:
        text = repr(value)
    except ValueError:
        return f"a {type(value).__name__} of more digits than can be read"
    return text if len(text) <= 80 else f"{text[:77]}..."
