"""The person's settings file. Nothing in it stops the app: what is wrong is told, and its default is used."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from core.printable import clean
from reid_tui.keys import KEYS, plain_keys_type, textual_keys
from reid_tui.theme import THEMES, short_name

CHARTS = ("auto", "braille", "ascii")
MOST_REDRAWS, FEWEST_REDRAWS = 4.0, 0.2
RESERVED = {
    "ctrl+c": "it copies what is selected",
    "ctrl+q": "it quits everywhere",
    "ctrl+p": "it opens the command palette",
    "ctrl+l": "it draws the screen anew",
    "tab": "it moves between the parts of a screen",
    "ctrl+b": "tmux takes it",
    "ctrl+h": "terminals send it for backspace",
    "ctrl+i": "terminals send it for tab",
    "ctrl+j": "terminals send it for enter",
    "ctrl+m": "terminals send it for enter",
}


@dataclass(frozen=True)
class Settings:
    """What can be set; every default is what the app does by itself."""

    theme: str = ""  # name of a theme without "reid-"; "": the last one that was chosen by key, or as the terminal is
    charts: str = "auto"
    redraws_per_second: float = MOST_REDRAWS
    low_bandwidth: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)  # by the ids of `keys.KEYS`, as Textual names keys

    @property
    def redraw_seconds(self) -> float:
        """Between two redraws of what a run says."""
        return max(1.0, 1 / self.redraws_per_second) if self.low_bandwidth else 1 / self.redraws_per_second

    @property
    def ascii(self) -> bool:
        """Whether nothing but ASCII may reach the terminal."""
        return self.charts == "ascii" or (self.charts == "auto" and locale_is_ascii(os.environ))


DEFAULTS = Settings()


def settings_of(app: object) -> Settings:
    """The settings of an app that has some, else the defaults."""
    settings = getattr(app, "settings", None)
    return settings if isinstance(settings, Settings) else DEFAULTS


def settings_path() -> Path:
    return user_config_path("reid-tui") / "config.toml"


def locale_is_ascii(environ: Mapping[str, str]) -> bool:
    """Whether the locale was set to one that knows no UTF-8; where none is set at all, terminals of today do."""
    # Python itself adds this to an environment whose LANG is C.
    coerced = environ.get("LC_CTYPE") == "C.UTF-8" and environ.get("LANG") in {"C", "POSIX"}
    names = ("LC_ALL", "LANG") if coerced else ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((environ[name] for name in names if environ.get(name)), "")
    return bool(locale) and "utf8" not in locale.lower().replace("-", "")


def read_settings(path: Path | None = None) -> tuple[Settings, list[str]]:
    """The settings, and a sentence for each thing in the file that could not be used. No file: the defaults."""
    path = settings_path() if path is None else path
    try:
        table = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        return DEFAULTS, []
    except OSError as error:
        return DEFAULTS, [clean(f"{path}: cannot be read ({error.strerror}); every default is used")]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return DEFAULTS, [clean(f"{path}: is no TOML ({error}); every default is used")]
    settings, problems = _checked(table)
    return settings, [clean(f"{path}: {problem}") for problem in problems]


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"


def _checked(table: dict[str, Any]) -> tuple[Settings, list[str]]:
    settings, problems = DEFAULTS, []
    known = [each.name for each in fields(Settings)]
    for name, value in table.items():
        if name not in known:
            problems.append(f"{name}: unknown setting; {_nearest(name, known)}")
            continue
        wrong, taken = _CHECKS[name](value)
        problems += [f"{name}{each}" for each in wrong]
        settings = replace(settings, **{name: taken})
    return settings, problems


def _one_of(default: str, choices: tuple[str, ...]) -> Callable[[Any], tuple[list[str], Any]]:
    def check(value: Any) -> tuple[list[str], Any]:
        if value in choices:
            return [], value
        return [f": {value!r} is none of {', '.join(choices)}; {default or 'the default'} is used"], default

    return check


def _redraws(value: Any) -> tuple[list[str], Any]:
    if isinstance(value, int | float) and not isinstance(value, bool) and FEWEST_REDRAWS <= value <= MOST_REDRAWS:
        return [], float(value)
    limits = f"a number from {FEWEST_REDRAWS:g} to {MOST_REDRAWS:g}"
    return [f": {value!r} is not {limits}; {MOST_REDRAWS:g} is used"], MOST_REDRAWS


def _switch(value: Any) -> tuple[list[str], Any]:
    if isinstance(value, bool):
        return [], value
    return [f": {value!r} is neither true nor false; false is used"], False


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """`run.stop = "x"` without quotes is a table in a table to TOML; it is meant as the same."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return found


def _keys(value: Any) -> tuple[list[str], Any]:
    if not isinstance(value, dict):
        return [': is to be a table, [keys] with lines like "run.stop" = "x"; no key is changed'], {}
    problems: list[str] = []
    remapped: dict[str, str] = {}
    ids = [key.id for key in KEYS]
    for id, keys in _flat(value).items():
        if id not in ids:
            problems.append(f".{id}: unknown key; {_nearest(id, ids)}")
        elif problem := _key_problem(id, keys):
            problems.append(f".{id}: {problem}; its own key is used")
        else:
            remapped[id] = textual_keys(keys)
    while clash := _clash(remapped):
        id, other, key = clash
        problems.append(f".{id}: {key} is the key of {other} already; its own key is used")
        del remapped[id]
    return problems, remapped


def _key_problem(id: str, keys: Any) -> str:
    if not isinstance(keys, str) or not keys.strip():
        return f'{keys!r} is to be a key in quotes, like "x", "f6" or "ctrl+k"'
    [row] = [key for key in KEYS if key.id == id]
    for each in textual_keys(keys).split(","):
        if each in RESERVED and each not in row.key.split(","):
            return f"{each} is taken: {RESERVED[each]}"
        kind = plain_keys_type(each)
        if not kind:
            return f'{each!r} is no key that every terminal sends; take one like "x", "f6" or "ctrl+k"'
        if kind == "character" and not any(
            plain_keys_type(own) == "character" and own != "question_mark"
            for key in KEYS
            if key.where == row.where
            for own in key.key.split(",")
        ):
            return f'{keys!r} is typed as text there; take one like "f6" or "ctrl+k"'
    return ""


def _clash(remapped: Mapping[str, str]) -> tuple[str, str, str] | None:
    """A remapped id, the one that has its key on the same screen, and the key; the later of two remapped ones."""
    seen: dict[tuple[str, str], str] = {}
    rows = sorted(KEYS, key=lambda key: list(remapped).index(key.id) if key.id in remapped else -1)
    for row in rows:
        for key in remapped.get(row.id, row.key).split(","):
            where = "dashboard" if row.where == "chart" else row.where  # they are on one screen
            other = seen.setdefault((where, key), row.id)
            if other != row.id and row.id in remapped:
                return row.id, other, key
    return None


_CHECKS: dict[str, Callable[[Any], tuple[list[str], Any]]] = {
    "theme": _one_of("", tuple(short_name(theme.name) for theme in THEMES)),
    "charts": _one_of("auto", CHARTS),
    "redraws_per_second": _redraws,
    "low_bandwidth": _switch,
    "keys": _keys,
}
