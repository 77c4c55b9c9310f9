"""What is wrong with a profile, in the words of somebody who writes TOML: where it stands, the key, the way out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from core.profile import Profile

_AFTER_THE_FILE = 10**9  # overrides are told after every line of the file


class Problem(NamedTuple):
    """One message; `order` is the line that it is about, or later than any line for an override."""

    order: int
    message: str
    keys: tuple[str, ...] = ()  # the `table.key`s that it is about
    words: str = ""  # the message without the place


class Places:
    """Where each key of a profile was given: a line of the file, or an override."""

    def __init__(self, path: Path, text: str) -> None:
        self._file = (0, str(path))
        self._places = {key: (line, f"{path}:{line}") for key, line in _lines_of_keys(text).items()}
        self._overrides = 0

    def overridden(self, key: str, override: str) -> None:
        """From here on the key's value is that of `--set override`."""
        self._overrides += 1
        self._places[key] = (_AFTER_THE_FILE + self._overrides, f"--set {override}")

    def problem(self, keys: tuple[str, ...], message: str) -> Problem:
        """A problem with these keys: at the one overridden, else the first given, else their table, else the file."""
        given = [self._places[key] for key in keys if key in self._places]
        overridden = [place for place in given if place[0] > _AFTER_THE_FILE]
        table = self._places.get(keys[0].partition(".")[0], self._file)
        order, where = (overridden or given or [table])[0]
        return Problem(order, f"{where}: {message}", keys, message)

    def bad_override(self, override: str, message: str) -> Problem:
        return Problem(_AFTER_THE_FILE, f"--set {override}: {message}")


def sound_values(tables: Mapping[str, Any], details: Iterable[ErrorDetails]) -> dict[str, dict[str, Any]]:
    """The values, by table and key and with defaults, that are right by themselves: no detail is about them."""
    wrong = {detail["loc"][:2] for detail in details}
    sound: dict[str, dict[str, Any]] = {}
    for table, model in _tables():
        values = {key: field.default for key, field in model.model_fields.items() if not field.is_required()}
        if (table,) not in wrong:
            values |= tables.get(table, {})
            sound[table] = {key: value for key, value in values.items() if (table, key) not in wrong}
    return sound


def schema_problem(detail: ErrorDetails, places: Places) -> Problem:
    """One problem that pydantic found."""
    parts = [str(part) for part in detail["loc"]]
    key, item = ".".join(parts[:2]), parts[2:]
    shown = f"{key}[{item[0]}]" if item else key
    return places.problem((key,), f"{shown}: {_words(detail, key)}")


def _words(detail: ErrorDetails, key: str) -> str:
    given = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            return _unknown(key, given)
        case "missing":
            return "is missing, and has no default"
        case "model_type":
            message = "must be a table"
        case "tuple_type":
            message = "must be an array"
        case _:
            message = detail["msg"].removeprefix("Value error, ")
            message = message[0].lower() + message[1:]
    return message if _holds_tables(given) else f"{message} (it is {_as_toml(given)})"


def _unknown(key: str, given: Any) -> str:
    """An unknown key or table, with the known one that was probably meant."""
    _, dot, name = key.rpartition(".")
    tables = [table for table, _ in _tables()]
    keys = [f"{table}.{field}" for table, model in _tables() for field in model.model_fields]
    if not dot and _holds_tables(given):
        return f"unknown table{nearest(key, tables) or _listed(tables)}"
    elsewhere = [known for known in keys if known.partition(".")[2] == name]
    if elsewhere:
        return f"unknown key; did you mean {elsewhere[0]}?"
    return f"unknown key{nearest(key, [*tables, *keys]) or _listed(tables)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest known name, to be added to a message; empty if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _listed(tables: Iterable[str]) -> str:
    return f"; the tables are {', '.join(f'[{table}]' for table in tables)}"


def _tables() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Profile.model_fields.items():
        assert isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        yield field.alias or name, field.annotation


def _holds_tables(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _as_toml(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _lines_of_keys(text: str) -> dict[str, int]:
    """Line number of each `table.key` and of each table; 1 is the first line."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?([\w.\"' -]+)\]", line):
            table = _bare(header[1])
            lines.setdefault(table, number)
        elif key := re.match(r"\s*([\w.\"' -]+)=", line):
            lines.setdefault(".".join(filter(None, (table, _bare(key[1])))), number)
    return lines


def _bare(key: str) -> str:
    """A key as TOML may write it, without the quotes and blanks of its parts."""
    return ".".join(part.strip(" \t\"'") for part in key.split("."))
