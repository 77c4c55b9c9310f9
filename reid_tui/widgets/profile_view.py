"""How a profile is shown: its entry in the list, and the preview of its values. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content

from reid_tui.text import clean, plural

if TYPE_CHECKING:
    from pydantic import BaseModel

    from core.profile import Profile
    from core.profile_files import ProfileReading


def _facts(profile: Profile) -> list[str]:
    weights = "" if profile.model.pretrained == "none" else f" ({profile.model.pretrained})"
    data = f"{profile.data.dataset} {profile.data.aspect}".strip()
    return [f"{profile.model.name}{weights}", data, plural(profile.train.epochs, "epoch")]


def entry(reading: ProfileReading) -> Content:
    """Two lines of the list: the name; how many problems there are, model, data and epochs."""
    facts = [(clean(fact), "$foreground 65%") for fact in (_facts(reading.profile) if reading.profile else [])]
    if reading.problems:
        facts.insert(0, (plural(len(reading.problems), "problem"), "$error"))
    second = [part for fact in facts for part in ((" · ", "$foreground 65%"), fact)][1:]
    mark = ("✘ ", "bold $error") if reading.problems else ("  ", "")
    return Content.assemble(mark, (clean(reading.path.stem), "bold"), ("\n  ", ""), *second)


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


def preview(reading: ProfileReading) -> Content:
    """Every problem; then every resolved value, those that differ from their default marked."""
    lines = []
    if reading.problems:
        lines += [Content.styled("✘ cannot be launched", "bold $error"), Content("")]
    for problem in reading.problems:
        # The panel says which folder it is.
        text = problem.replace(str(reading.path), reading.path.name)
        lines += [Content.assemble(("• ", "$error"), clean(text)), Content("")]
    if reading.profile is None:
        return Content("\n").join(lines)
    tables, defaults = reading.profile.tables(), _defaults(reading.profile)
    width = max(len(key) for table in tables.values() for key in table) + 2
    for name, table in tables.items():
        lines.append(Content.styled(f"[{name}]", "bold $primary"))
        for key, value in table.items():
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
