"""How a profile is shown: its entry in the list, and the preview of its values. Pure functions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.content import Content

from core.printable import clean
from reid_tui.text import plural

if TYPE_CHECKING:
    from pydantic import BaseModel

    from core.profile import Profile
    from core.profile_files import ProfileReading


# Values of these tables are what people look for; the rest stands below them.
ORDER = ("data", "model", "train", "augment", "validate", "run")


def data_missing(reading: ProfileReading) -> bool:
    """Whether the profile is sound, and only the folders of its data are not there yet."""
    return (
        reading.profile is not None
        and all(": data.root: " in problem for problem in reading.problems)
        and bool(reading.problems)
    )


def _facts(profile: Profile) -> list[str]:
    weights = "" if profile.model.pretrained == "none" else f" ({profile.model.pretrained})"
    data = f"{profile.data.dataset} {profile.data.aspect}".strip()
    return [f"{profile.train.epochs} ep", f"{profile.model.name}{weights}", data]


def _verdict(reading: ProfileReading) -> tuple[str, str, str]:
    """Mark, words and colour for what stands in the way of a launch; empty where nothing does."""
    if not reading.problems:
        return "", "", ""
    if data_missing(reading):
        return "○", "no data yet", "$warning"
    return "✘", plural(len(reading.problems), "problem"), "$error"


def entry(reading: ProfileReading) -> Content:
    """Two lines of the list: the name; what stands in the way, epochs, model and data."""
    facts = [(clean(fact), "$foreground 65%") for fact in (_facts(reading.profile) if reading.profile else [])]
    mark, words, colour = _verdict(reading)
    if mark:
        facts.insert(0, (words, colour))
    second = [part for fact in facts for part in ((" · ", "$foreground 65%"), fact)][1:]
    return Content.assemble(
        (f"{mark:<1} ", f"bold {colour}".strip()), (clean(reading.path.stem), "bold"), ("\n  ", ""), *second
    )


def matches(reading: ProfileReading, words: str) -> bool:
    """Whether every word of the filter is somewhere in the name, model, data or epochs."""
    facts = _facts(reading.profile) if reading.profile else []
    text = " ".join([reading.path.stem, *facts]).casefold()
    return all(word in text for word in words.casefold().split())


def _defaults(profile: Profile) -> dict[str, dict[str, Any]]:
    """Default of every key that has one, by table, in the form that `tables` gives values."""
    defaults: dict[str, dict[str, Any]] = {}
    for name, field in type(profile).model_fields.items():
        table: BaseModel = getattr(profile, name)
        fields = type(table).model_fields
        given = {key: item.default for key, item in fields.items() if not item.is_required()}
        defaults[field.alias or name] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in given.items()
        }
    return defaults


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    return f'"{clean(value)}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def problem_text(problem: str, path: Path) -> str:
    """A problem without the name of its file, which the panel has in its title: "line 8 · data.root: …"."""
    text = problem.removeprefix(f"{path}:")
    return clean(re.sub(r"^(\d+): ", r"line \1 · ", text).strip())


def problems(reading: ProfileReading) -> Content:
    """Every problem, each a paragraph; empty where there is none."""
    mark, words, colour = _verdict(reading)
    if not mark:
        return Content("")
    what = f"{words}: cannot be launched" if data_missing(reading) else "cannot be launched"
    lines = [Content.styled(f"{mark} {what}", f"bold {colour}"), Content("")]
    for problem in reading.problems:
        lines += [Content.assemble(("• ", colour), problem_text(problem, reading.path)), Content("")]
    return Content("\n").join(lines)


def values(profile: Profile) -> Content:
    """Every resolved value, those that differ from their default marked."""
    tables, defaults = profile.tables(), _defaults(profile)
    width = max(len(key) for table in tables.values() for key in table) + 2
    lines = []
    for name in sorted(tables, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        lines.append(Content.styled(f"[{name}]", "bold $primary"))
        for key, value in tables[name].items():
            known = key in defaults[name]
            if known and value == defaults[name][key]:
                lines.append(Content.styled(f"  {key:<{width}}{_value(value)}", "$foreground 65%"))
                continue
            tail = f"   default {_value(defaults[name][key])}" if known else ""
            lines.append(
                Content.assemble(
                    ("• ", "$accent"), f"{key:<{width}}", (_value(value), "bold"), (tail, "$foreground 50%")
                )
            )
        lines.append(Content(""))
    return Content("\n").join(lines[:-1])
