"""Sweeps: several values for a key, and every combination of them once. Pure: no file is read here."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import ProfileError

MOST_RUNS = 200  # in one go; more are a slip of the hand rather than a plan
_OPENERS = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class Sweep:
    """One key and its values, each as `--set` takes it."""

    key: str
    values: tuple[str, ...]

    @property
    def overrides(self) -> tuple[str, ...]:
        return tuple(f"{self.key}={value}" for value in self.values)


def parse_sweep(text: str) -> Sweep:
    """`train.lr=1e-5,3e-5`. Commas within brackets and quotes belong to a value: `data.image_size=[64,32],[128,64]`.

    Raises:
        ProfileError: with every problem that was found.
    """
    key, equals, rest = text.partition("=")
    table, dot, name = (part.strip() for part in key.partition("."))
    if not (equals and dot and table and name):
        raise ProfileError(f"--sweep {text}", ["must look like table.key=value,value, for example train.lr=1e-5,3e-5"])
    values = [value.strip() for value in _split(rest)]
    problems = []
    if any(not value for value in values):
        problems.append("a value is empty; write values with one comma between two")
    seen: list[tuple[str, Any]] = []
    for value in values:
        same = next((earlier for earlier, parsed in seen if same_value(parsed, parse_value(value))), None)
        if same is not None and value:
            problems.append(f"{value} is the same as {same}; name each value once")
        seen.append((value, parse_value(value)))
    if problems:
        raise ProfileError(f"--sweep {text}", problems)
    return Sweep(f"{table}.{name}", tuple(values))


def combinations(sweeps: Sequence[Sweep]) -> list[tuple[str, ...]]:
    """The overrides of each run: every combination once, the last sweep changing fastest; none: one run as it is."""
    return list(itertools.product(*(sweep.overrides for sweep in sweeps)))


def check_sweeps(sweeps: Sequence[Sweep], overrides: Iterable[str] = (), profiles: int = 1) -> None:
    """Whether they can be combined with each other, with `--set` overrides, and with so many profiles.

    Raises:
        ProfileError: with every problem that was found.
    """
    problems = []
    keys = [sweep.key for sweep in sweeps]
    problems += [f"{key} is swept twice; put its values into one --sweep" for key in keys if keys.count(key) > 1][:1]
    fixed = {_bare(override.partition("=")[0]) for override in overrides}
    problems += [f"{key} is given with --set as well; leave one of them out" for key in keys if key in fixed]
    runs = profiles * math.prod(len(sweep.values) for sweep in sweeps)
    if runs > MOST_RUNS:
        problems.append(f"these are {runs} runs, and {MOST_RUNS} are the most in one go; sweep fewer values")
    if problems:
        raise ProfileError("--sweep", problems)


def parse_value(text: str) -> Any:
    """A value as TOML has it; what is no TOML is a bare word, a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # tomllib's own, and numbers or nesting without end
        return text.strip()


def _split(text: str) -> list[str]:
    """Cut at the commas that are in neither brackets nor quotes. An opener without its end cuts nothing more."""
    parts, start, closers, quote = [], 0, "", ""
    for at, char in enumerate(text):
        if quote:
            if char == quote and not (quote == '"' and _escaped(text, at)):
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in _OPENERS:
            closers += _OPENERS[char]
        elif closers and char == closers[-1]:
            closers = closers[:-1]
        elif char == "," and not closers:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _escaped(text: str, at: int) -> bool:
    before = text[:at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _bare(key: str) -> str:
    return ".".join(part.strip() for part in key.split("."))


def same_value(one: Any, other: Any) -> bool:
    """Whether two values are one: 1 and 1.0 are one value to a key; true and 1 are not."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
