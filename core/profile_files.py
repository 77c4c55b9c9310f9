"""Profiles in files: found, read, checked, overridden and written. One message per problem, all of them at once."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import toml
from platformdirs import user_config_path
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.errors import ProfileError
from core.profile import Profile

DEMO_ROOT = "demo:hands"


@dataclass(frozen=True)
class ProfileReading:
    """A profile file as it was read.

    `profile` is there where the values are sound; a folder or a file that it names may still be missing.
    """

    path: Path
    profile: Profile | None
    problems: tuple[str, ...]

    @property
    def launchable(self) -> Profile | None:
        """The profile, if there is nothing wrong with it."""
        return None if self.problems else self.profile


def builtin_profiles() -> Path:
    """Folder of the profiles that come with the program: inside the wheel, or beside `core` in a checkout."""
    packaged = Path(__file__).parent / "builtin_profiles"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "profiles"


def profile_folders(first: Path | None = None) -> list[Path]:
    """Folders that are searched, in order: `first`, `./profiles`, the user's, the built-in ones."""
    folders = [Path("profiles"), user_config_path("reid-tui") / "profiles", builtin_profiles()]
    return [*([first] if first else []), *folders]


def find_profiles(first: Path | None = None) -> list[Path]:
    """Every profile that can be named, by folder and then by name; of equal names the first folder's wins.

    Raises:
        ProfileError: `first` is no folder.
    """
    if first is not None and not first.is_dir():
        raise ProfileError(str(first), ["no such folder (given with --profiles)"])
    found: dict[str, Path] = {}
    for folder in profile_folders(first):
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return list(found.values())


def locate_profile(name: str, first: Path | None = None) -> Path:
    """The file of a profile given by name (`demo`) or by path.

    Raises:
        ProfileError: there is none; the message names the nearest.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise ProfileError(name, ["no such file"])
    known = {found.stem: found for found in find_profiles(first)}
    if name in known:
        return known[name]
    raise ProfileError(name, [f"no profile of that name{_nearest(name, known)}; known: {', '.join(sorted(known))}"])


def read_profile(path: Path, overrides: Sequence[str] = (), *, check_folders: bool = True) -> ProfileReading:
    """Read and check one profile; whatever is wrong with it is in `problems`, and nothing is raised.

    Args:
        path: the TOML file.
        overrides: `table.key=value` each, the value as TOML has it (bare words count as strings).
        check_folders: whether folders and files that the profile names must exist.
    """
    try:
        text = path.read_bytes().decode()
        tables = tomllib.loads(text)
    except OSError as error:
        return ProfileReading(path, None, (f"{path}: cannot be read: {error.strerror}",))
    except UnicodeDecodeError as error:
        return ProfileReading(path, None, (f"{path}: is not UTF-8 text (byte {error.start})",))
    except tomllib.TOMLDecodeError as error:
        return ProfileReading(path, None, (f"{path}: is not TOML: {error}",))
    lines = {key: f"{path}:{line}" for key, line in _lines_of_keys(text).items()}
    problems = []
    for override in overrides:
        key, problem = _override(tables, override)
        lines[key] = f"--set {override}"
        problems += [problem] if problem else []
    try:
        profile = Profile.model_validate(tables)
    except ValidationError as error:
        problems += [_sentence(detail, path, lines) for detail in error.errors(include_url=False)]
        return ProfileReading(path, None, tuple(problems))
    if check_folders:
        problems += [f"{_place(key, path, lines)}: {key}: {text}" for key, text in _missing(profile)]
    return ProfileReading(path, profile, tuple(problems))


def load_profile(path: Path, overrides: Sequence[str] = (), *, check_folders: bool = True) -> Profile:
    """Like `read_profile`, but raises.

    Raises:
        ProfileError: with every problem that was found.
    """
    reading = read_profile(path, overrides, check_folders=check_folders)
    if reading.launchable is None:
        raise ProfileError(str(path), list(reading.problems))
    return reading.launchable


def write_profile(profile: Profile) -> str:
    """The profile as TOML text, every default spelled out; reading it back gives an equal profile."""
    encoder = toml.TomlEncoder[dict[str, Any]]() if TYPE_CHECKING else toml.TomlEncoder()
    # `toml` mangles a backslash before an x; a profile's strings have no control characters, so two escapes do.
    encoder.dump_funcs[str] = lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return toml.dumps(profile.tables(), encoder=encoder)


def _lines_of_keys(text: str) -> dict[str, int]:
    """Line number of each `table.key` and of each table, for messages; 1 is the first line."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[?\s*([\w.\"' -]+?)\s*\]", line):
            table = header[1]
            lines.setdefault(table, number)
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            lines.setdefault(".".join(filter(None, (table, key[1].strip("\"'")))), number)
    return lines


def _override(tables: dict[str, Any], override: str) -> tuple[str, str]:
    """Put one `table.key=value` into the tables; gives the key and, where it cannot be done, the problem."""
    key, equals, value = override.partition("=")
    table, dot, name = key.strip().partition(".")
    if not (equals and dot and table and name):
        return key, f"--set {override}: must look like table.key=value, for example train.lr=1e-5"
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    entries = tables.setdefault(table, {})
    if not isinstance(entries, dict):
        return key, f"--set {override}: {table} is not a table in this profile"
    entries[name] = parsed
    return key.strip(), ""


def _known_keys() -> Iterator[str]:
    for name, field in Profile.model_fields.items():
        table = field.alias or name
        yield table
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{table}.{key}" for key in field.annotation.model_fields)


def _nearest(name: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _place(key: str, path: Path, lines: Mapping[str, str]) -> str:
    """Where a key stands, or else its table, or else the file."""
    return lines.get(key) or lines.get(key.partition(".")[0]) or str(path)


def _sentence(detail: ErrorDetails, path: Path, lines: Mapping[str, str]) -> str:
    """One problem that pydantic found, in the words of somebody who writes TOML."""
    parts = [str(part) for part in detail["loc"]]
    key, item = ".".join(parts[:2]), parts[2:]
    where = _place(key, path, lines)
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        known = list(_known_keys())
        elsewhere = [name for name in known if name.partition(".")[2] == parts[-1]]
        hint = f"; did you mean {elsewhere[0]}?" if elsewhere else _nearest(key, known)
        return f"{where}: {key}: unknown {'key' if len(parts) > 1 else 'table'}{hint}"
    if kind == "missing":
        return f"{where}: {key}: is missing, and has no default"
    if kind == "batch_not_pk":
        return f"{_place('train.batch_size', path, lines)}: {detail['msg']}"
    message = detail["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    place = f"{key}[{item[0]}]" if item else key
    shown = "" if isinstance(given, dict) else f" (it is {_as_toml(given)})"
    return f"{where}: {place}: {message}{shown}"


def _as_toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _missing(profile: Profile) -> Iterator[tuple[str, str]]:
    """What the profile names and is not there: (key, what is wrong and the way out)."""
    root = expand(profile.data.root)
    folders = [f"{kind}{n}" for n in profile.validation.splits for kind in ("query", "gallery")]
    wanted = ["train", *(folders if profile.validation.on == "splits" else [])]
    if profile.data.root != DEMO_ROOT:
        if not root.is_dir():
            yield "data.root", f"no such folder: {root} (see `reid-tui data prepare --help`)"
        else:
            absent = [name for name in wanted if not (root / name).is_dir()]
            if absent:
                yield "data.root", f"{root} has no folder {', '.join(absent)} (see `reid-tui data prepare --help`)"
    weights = profile.model.pretrained
    if is_weights_file(weights) and not expand(weights).is_file():
        yield "model.pretrained", f"no such file: {expand(weights)}"


def is_weights_file(pretrained: str) -> bool:
    """Whether `model.pretrained` names a file, not a tag: it has a folder or one of the known suffixes."""
    return os.sep in pretrained or Path(pretrained).suffix in {".pt", ".pth", ".safetensors", ".bin"}


def expand(path: str) -> Path:
    """A path as a profile gives it: `~` and `$VARIABLES` taken in, relative to the working folder."""
    return Path(os.path.expandvars(path)).expanduser()
