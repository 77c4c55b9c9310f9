"""The filter of a list of runs: words, and comparisons such as `r1>70`, `state=finished`, `lr<1e-4`.

Any text is a filter. What cannot be understood of it is said, and left out.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from core.run_fields import FIELDS, Field, Kind, RunRow, Value, as_number, profile_value

_TERM = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)(>=|<=|!=|==|=|>|<)(.*)", re.DOTALL)
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf)([A-Za-z%]*)")
_ORDERS: dict[str, Callable[[float, float], bool]] = {">": operator.gt, "<": operator.lt}
_ALIASES = {
    "rank1": "r1", "rank-1": "r1", "r-1": "r1", "standing": "state", "data": "dataset", "batch_size": "batch",
    "learning_rate": "lr", "bytes": "size", "run": "name",
}  # fmt: skip
_UNITS: dict[Kind, dict[str, float]] = {
    "number": {"": 1, "k": 1e3, "m": 1e6},
    "rate": {"": 1, "%": 1},
    "bytes": {unit + tail: 1000.0**power for power, unit in enumerate(("", "k", "m", "g", "t")) for tail in ("", "b")},
    "seconds": {"": 1, "s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800},
}
_SEARCHED = ("name", "state", "model", "aspect", "dataset", "experiment")
_NEAR = 0.05  # rates are shown with one decimal: 83.0 is what is shown so
_Test = Callable[[RunRow, float], bool]


@dataclass(frozen=True)
class RunFilter:
    """What `parse` has understood, and what it has not, in words."""

    tests: tuple[_Test, ...] = ()
    problems: tuple[str, ...] = ()

    def __call__(self, row: RunRow, now: float) -> bool:
        """Whether a run passes; `now` in seconds since the epoch."""
        return all(test(row, now) for test in self.tests)


def parse(text: str, profile_keys: Iterable[str] = ()) -> RunFilter:
    """A filter of terms between spaces, all of which must hold. Never raises.

    Args:
        text: what a person has typed, perhaps only in part.
        profile_keys: `table.key` each, which may be compared as well, by this name or by `key`.
    """
    keys = list(profile_keys)
    tests: list[_Test] = []
    problems: list[str] = []
    for term in text.split():
        found = _TERM.fullmatch(term)
        if found is None:
            tests.append(_has_word(term))
            continue
        try:
            tests.append(_comparison(_field(found[1], keys), found[1], found[2].replace("==", "="), found[3]))
        except ValueError as problem:
            problems.append(str(problem))
    return RunFilter(tuple(tests), tuple(problems))


def profile_keys(rows: Iterable[RunRow]) -> list[str]:
    """`table.key` of every value in the profiles of the runs."""
    keys = {
        f"{table}.{key}": None
        for row in rows
        for table, values in row.summary.profile.items()
        if isinstance(values, dict)
        for key in values
    }
    return list(keys)


def _has_word(word: str) -> _Test:
    wanted = word.casefold()
    return lambda row, now: any(wanted in str(FIELDS[key].value(row, now)).casefold() for key in _SEARCHED)


def _field(name: str, keys: list[str]) -> Field | str:
    """A field of the list, or `table.key` of the profiles.

    Raises:
        ValueError: in words, if there is none of this name.
    """
    lower = name.lower()
    if field := FIELDS.get(_ALIASES.get(lower, lower)):
        return field
    for key in keys:
        if lower in (key.lower(), key.lower().partition(".")[2]):
            return key
    near = difflib.get_close_matches(lower, [*FIELDS, *_ALIASES, *keys, *(key.partition(".")[2] for key in keys)], 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELDS)}, and the keys of profiles"
    raise ValueError(f"{name}: no such value; {hint}")


def _comparison(field: Field | str, name: str, sign: str, wanted: str) -> _Test:
    """Raises ValueError, in words, where the value does not fit the field."""
    if not wanted:
        raise ValueError(f"{name}{sign}: with what?")
    if isinstance(field, str):
        return _profile_comparison(field, name, sign, wanted)
    if field.kind == "text":
        if sign not in ("=", "!="):
            raise ValueError(f"{name} is a text: only = and != fit it")
        value, pattern = field.value, wanted.casefold()
        return lambda row, now: fnmatchcase(str(value(row, now)).casefold(), pattern) == (sign == "=")
    number = _read_number(wanted, field.kind)
    if number is None:
        units = ", ".join(unit for unit in _UNITS[field.kind] if unit)
        raise ValueError(f"{name}{sign}{wanted}: not a number" + (f"; units are {units}" if units else ""))
    value, near = field.value, _NEAR if field.kind == "rate" else 0.0
    return lambda row, now: _holds(value(row, now), sign, number, near)


def _profile_comparison(key: str, name: str, sign: str, wanted: str) -> _Test:
    table, _, own = key.partition(".")
    number = _read_number(wanted, "number")
    if number is None and sign not in ("=", "!="):
        raise ValueError(f"{name}{sign}{wanted}: not a number")
    pattern = wanted.casefold()

    def test(row: RunRow, now: float) -> bool:
        value = profile_value(row, table, own)
        if number is not None and not math.isnan(as_number(value)):
            return _holds(as_number(value), sign, number, 0.0)
        if sign not in ("=", "!=") or value is None:
            return False
        return fnmatchcase(plain(value).casefold(), pattern) == (sign == "=")

    return test


def plain(value: object) -> str:
    """A value of a profile as one reads and types it: `true`, `0.001`, `224,224`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _holds(value: Value, sign: str, wanted: float, near: float) -> bool:
    if isinstance(value, str) or math.isnan(value):
        return False
    if sign in ("=", "!="):
        return math.isclose(value, wanted, rel_tol=1e-9, abs_tol=near) == (sign == "=")
    if math.isclose(value, wanted, rel_tol=1e-9):  # 100 * 0.834 is not 83.4
        return sign.endswith("=")
    return _ORDERS[sign[0]](value, wanted)


def _read_number(text: str, kind: Kind) -> float | None:
    found = _NUMBER.fullmatch(text)
    if found is None or (factor := _UNITS[kind].get(found[2].lower())) is None:
        return None
    return float(found[1]) * factor
