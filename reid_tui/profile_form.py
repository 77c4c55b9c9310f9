"""The values of a profile as a form: made from the schema, checked like a file. No screen.

The form knows no key by name: what the schema gains, the form has.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.profile import Profile
from core.profile_files import check_tables, write_profile
from core.profile_problems import Places
from core.sweep import parse_value, same_value

Kind = Literal["text", "choice", "toml"]
_SIGNS = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))


@dataclass(frozen=True)
class FormField:
    """A key of the schema. Texts are as a person types them: strings bare, everything else as TOML has it."""

    table: str
    name: str
    kind: Kind
    type: str  # "float", "string", "array of int"
    range: str  # "> 0, ≤ 10"; empty: none
    choices: tuple[str, ...]
    default: str | None  # None: the key must be given
    description: str

    @property
    def key(self) -> str:
        return f"{self.table}.{self.name}"

    def value_of(self, text: str) -> Any:
        """The value of a text, as a TOML file would give it; what is no TOML stays a string, and will be refused."""
        if self.kind != "toml":
            return text
        if self.type.startswith("array") and not text.lstrip().startswith("["):
            text = f"[{text}]"
        return parse_value(text)

    def text_of(self, value: Any) -> str:
        """The text of a value as TOML or a profile has it; `value_of` gives the value back."""
        if self.kind != "toml":
            return value if isinstance(value, str) else to_toml(value)
        return to_toml(value)


def form_fields() -> list[FormField]:
    """Every key of the profile, by table, in the order of the schema."""
    return list(_fields())


def _fields() -> Iterator[FormField]:
    for name, table in Profile.model_fields.items():
        model = table.annotation
        assert isinstance(model, type) and issubclass(model, BaseModel)
        for key, item in model.model_fields.items():
            yield _field(table.alias or name, key, item)


def _field(table: str, key: str, item: FieldInfo) -> FormField:
    kind, words, choices = _kind(item.annotation)
    bare = FormField(table, key, kind, words, _range(item), choices, None, item.description or "")
    if item.is_required():
        return bare
    default = bare.text_of(item.get_default(call_default_factory=True))
    return FormField(table, key, kind, words, bare.range, choices, default, bare.description)


def _kind(annotation: Any) -> tuple[Kind, str, tuple[str, ...]]:
    if typing.get_origin(annotation) is Literal and all(
        isinstance(value, str) for value in typing.get_args(annotation)
    ):
        return "choice", "choice", typing.get_args(annotation)
    if annotation is bool:
        return "toml", "true or false", ("true", "false")
    if annotation is str:
        return "text", "string", ()
    return "toml", _type_words(annotation), ()


def _type_words(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (tuple, list):
        items = [item for item in typing.get_args(annotation) if item is not Ellipsis]
        return f"array of {_type_words(items[0])}" if items else "array"
    name = getattr(annotation, "__name__", str(annotation))
    return {"str": "string", "float": "number", "int": "whole number"}.get(name, name)


def _range(item: FieldInfo) -> str:
    limits = [_limits(item.metadata)]
    for part in typing.get_args(item.annotation):
        if typing.get_origin(part) is typing.Annotated:
            inner = _limits(_flat(typing.get_args(part)[1:]))
            limits += [f"each {inner}"] if inner and f"each {inner}" not in limits else []
    return ", ".join(filter(None, limits))


def _flat(metadata: tuple[Any, ...]) -> list[Any]:
    return [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]


def _limits(metadata: list[Any]) -> str:
    bounds = [
        f"{sign} {_short(getattr(limit, name))}"
        for kind, name, sign in _SIGNS
        for limit in metadata
        if isinstance(limit, kind)
    ]
    bounds += [f"at most {limit.max_length} characters" for limit in metadata if isinstance(limit, MaxLen)]
    return ", ".join(bounds)


def _short(number: Any) -> str:
    return f"{number:_}".replace("_", " ") if isinstance(number, int) else f"{number:g}"


def to_toml(value: Any) -> str:
    """A value as TOML has it, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {to_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


@dataclass(frozen=True)
class Change:
    """A key whose value is another one than that of the file."""

    key: str
    old: str
    new: str


@dataclass
class Check:
    """What is wrong with the values: by key, the first problem at each; and the profile where they are sound."""

    profile: Profile | None
    problems: dict[str, str] = field(default_factory=dict)


def check_values(tables: Mapping[str, Any], *, check_folders: bool = False) -> Check:
    """The problems of a form's tables. `check_folders`: look for what the profile names too, which may take long."""
    profile, found = check_tables(tables, Places(Path(), ""), check_folders=check_folders)
    problems: dict[str, str] = {}
    for problem in found:
        key = problem.keys[0]
        problems.setdefault(key, problem.words.removeprefix(f"{key}: ").removeprefix(f"{key} "))
    return Check(profile, problems)


class ProfileForm:
    """The texts of a form. Keys are "table.key".

    Args:
        tables: the TOML tables of a file, sound or not; keys that the schema does not have are in `unknown`.
    """

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self.fields = form_fields()
        self._by_key = {item.key: item for item in self.fields}
        given = {
            f"{table}.{key}": value
            for table, values in tables.items()
            if isinstance(values, Mapping)
            for key, value in values.items()
        }
        self.unknown = sorted(given.keys() - self._by_key.keys())
        self.unknown += sorted(name for name, values in tables.items() if not isinstance(values, Mapping))
        self._given = given.keys() & self._by_key.keys()
        self._original = {
            item.key: item.text_of(given[item.key]) if item.key in given else item.default or "" for item in self.fields
        }
        self._texts = dict(self._original)

    def __getitem__(self, key: str) -> str:
        return self._texts[key]

    def __setitem__(self, key: str, text: str) -> None:
        self._texts[key] = text

    def lay_over(self, overrides: Iterable[str]) -> None:
        """Take `table.key=value` each as a change; of keys that there are not the launch will tell."""
        for override in overrides:
            key, _, value = override.partition("=")
            if (item := self._by_key.get(key.strip())) is not None:
                self._texts[item.key] = item.text_of(parse_value(value))

    def original(self, key: str) -> str:
        """The text that the key has in the file, or by default."""
        return self._original[key]

    def reset(self, key: str) -> str:
        """Take the file's value again, and give its text."""
        self._texts[key] = self._original[key]
        return self._texts[key]

    def changed(self, key: str) -> bool:
        """Whether the value differs from the file's: `1e-3` and `0.001` do not."""
        text, original, item = self._texts[key], self._original[key], self._by_key[key]
        return text != original and not same_value(item.value_of(text), item.value_of(original))

    @property
    def changes(self) -> list[Change]:
        return [
            Change(item.key, self._original[item.key], self._texts[item.key])
            for item in self.fields
            if self.changed(item.key)
        ]

    def tables(self) -> dict[str, dict[str, Any]]:
        """The values as TOML tables; keys that must be given and are empty are left out."""
        tables: dict[str, dict[str, Any]] = {}
        for item in self.fields:
            values = tables.setdefault(item.table, {})
            text = self._texts[item.key]
            if text or item.default is not None:
                values[item.name] = item.value_of(text)
        return tables

    def check(self) -> Check:
        """The problems, in the words that a file's get; what the profile names is not looked for."""
        return check_values(self.tables())

    def toml(self, profile: Profile, source: str) -> str:
        """The file of a checked profile: what the first file gave, and what differs from the defaults."""
        keys = {
            item.key
            for item in self.fields
            if item.key in self._given or item.default is None or self._differs_from_default(item)
        }
        head = "".join(char if char.isprintable() else "?" for char in source)
        return f"# Made from {head} in the form of reid-tui.\n{write_profile(profile, keys)}"

    def _differs_from_default(self, item: FormField) -> bool:
        return item.default is None or item.value_of(self._texts[item.key]) != item.value_of(item.default)

    def saved(self) -> None:
        """The values are those of a file now."""
        self._given = {item.key for item in self.fields if item.key in self._given or self._differs_from_default(item)}
        self._original = dict(self._texts)
