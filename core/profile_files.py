"""Profiles in files: found, read, checked, overridden and written. One message per problem, all of them at once."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import toml
from platformdirs import user_config_path
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.architectures import name_problem, names_on_the_disk
from core.errors import ProfileError
from core.profile import Profile, broken_rules
from core.profile_problems import Places, Problem, nearest, schema_problem, sound_values
from core.sweep import parse_value

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
        ProfileError: `first` is no folder, or one of the folders cannot be read.
    """
    found: dict[str, Path] = {}
    for folder in profile_folders(first):
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
        except (FileNotFoundError, NotADirectoryError) as error:
            if folder is first:
                raise ProfileError(str(first), ["no such folder (given with --profiles)"]) from error
            continue
        except OSError as error:
            text = f"the folder cannot be read: {error.strerror}; make it readable for you, or move it away"
            raise ProfileError(str(folder), [text]) from error
        for path in paths:
            found.setdefault(path.stem, path)
    return list(found.values())


def locate_profile(name: str, first: Path | None = None) -> Path:
    """The file of a profile given by name (`demo`) or by path.

    Raises:
        ProfileError: there is none, or it cannot be read; the message names the nearest.
    """
    path = _from_home(Path(name))
    unreadable = _unreadable(path, "file")
    if not unreadable:
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise ProfileError(name, [unreadable])
    known = {found.stem: found for found in find_profiles(first)}
    if name in known:
        return known[name]
    raise ProfileError(name, [f"no profile of that name{nearest(name, known)}; known: {', '.join(sorted(known))}"])


def read_profile(path: Path, overrides: Sequence[str] = (), *, check_folders: bool = True) -> ProfileReading:
    """Read and check one profile; whatever is wrong with it is in `problems`, and nothing is raised.

    Args:
        path: the TOML file.
        overrides: `table.key=value` each, the value as TOML has it (bare words count as strings).
        check_folders: whether folders and files that the profile names must exist.
    """
    text, tables, trouble = _read_toml(path)
    if trouble:
        return ProfileReading(path, None, (trouble,))
    places = Places(path, text)
    problems = []
    for override in overrides:
        key, trouble = _override(tables, override)
        if trouble:
            problems.append(places.bad_override(override, trouble))
        else:
            places.overridden(key, override)
    profile, found = check_tables(tables, places, check_folders=check_folders)
    problems += found
    problems.sort(key=lambda problem: problem.order)
    return ProfileReading(path, profile, tuple(problem.message for problem in problems))


def check_tables(
    tables: Mapping[str, Any], places: Places, *, check_folders: bool = True
) -> tuple[Profile | None, list[Problem]]:
    """The profile, where the values are sound, and everything that is wrong with them, in no order.

    Args:
        tables: the TOML tables.
        places: where each key was given, for the messages.
        check_folders: as of `read_profile`.
    """
    profile, details = _validated(tables)
    problems = [schema_problem(detail, places) for detail in details]
    values = sound_values(tables, details)
    problems += [places.problem(keys, message) for keys, message in broken_rules(values)]
    if check_folders:
        problems += [places.problem((key,), f"{key}: {message}") for key, message in _missing(values)]
    return profile, problems


def read_tables(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The tables of a profile file as they are there, unchecked, with overrides laid over them where they can be.

    Raises:
        ProfileError: the file cannot be read, or is not TOML.
    """
    _, tables, trouble = _read_toml(path)
    if trouble:
        raise ProfileError(str(path), [trouble])
    for override in overrides:
        _override(tables, override)
    return tables


def _read_toml(path: Path) -> tuple[str, dict[str, Any], str]:
    """Text and tables of a file, and why it cannot be read (empty: it can)."""
    try:
        text = path.read_bytes().decode("utf-8-sig")  # some editors put a byte order mark before the text
        return text, tomllib.loads(text), ""
    except OSError as error:
        return "", {}, f"{path}: cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        return "", {}, f"{path}: is not UTF-8 text (byte {error.start})"
    except (ValueError, RecursionError) as error:  # tomllib's own, and numbers or nesting without end
        return "", {}, f"{path}: is not TOML: {error}"


def load_profile(path: Path, overrides: Sequence[str] = (), *, check_folders: bool = True) -> Profile:
    """Like `read_profile`, but raises.

    Raises:
        ProfileError: with every problem that was found.
    """
    reading = read_profile(path, overrides, check_folders=check_folders)
    if reading.launchable is None:
        raise ProfileError(str(path), list(reading.problems))
    return reading.launchable


def write_profile(profile: Profile, keys: Container[str] | None = None) -> str:
    """The profile as TOML text; reading it back gives an equal profile.

    Args:
        profile: what is written.
        keys: the `table.key`s to write, all that differ from their default among them; None: every key.
    """
    encoder = toml.TomlEncoder[dict[str, Any]]() if TYPE_CHECKING else toml.TomlEncoder()
    # `toml` mangles a backslash before an x; a profile's strings have no control characters, so two escapes do.
    encoder.dump_funcs[str] = lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    tables = {
        table: {key: value for key, value in values.items() if keys is None or f"{table}.{key}" in keys}
        for table, values in profile.tables().items()
    }
    return toml.dumps({table: values for table, values in tables.items() if values}, encoder=encoder)


def _validated(tables: Mapping[str, Any]) -> tuple[Profile | None, list[ErrorDetails]]:
    """The profile, or what is wrong with single keys of it; neither where only rules across keys are broken."""
    try:
        return Profile.model_validate(tables), []
    except ValidationError as error:
        return None, [detail for detail in error.errors(include_url=False) if detail["loc"]]


def _override(tables: dict[str, Any], override: str) -> tuple[str, str]:
    """Put one `table.key=value` into the tables; gives the key and, where it cannot be done, the problem."""
    key, equals, value = override.partition("=")
    table, dot, name = (part.strip() for part in key.partition("."))
    if not (equals and dot and table and name):
        return key, "must look like table.key=value, for example train.lr=1e-5"
    parsed = parse_value(value)
    entries = tables.setdefault(table, {})
    if not isinstance(entries, dict):
        return key, f"{table} is not a table in this profile"
    entries[name] = parsed
    return f"{table}.{name}", ""


def _missing(values: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What the profile names and cannot be used: (key, what is wrong and the way out). Only values that are there."""
    root = values.get("data", {}).get("root", DEMO_ROOT)
    if root != DEMO_ROOT:
        yield from (("data.root", text) for text in _data_problems(root, values.get("validate", {})))
    weights = values.get("model", {}).get("pretrained", "none")
    if is_weights_file(weights) and (text := _path_problem(weights, "file")):
        yield "model.pretrained", text
    name, known = values.get("model", {}).get("name"), names_on_the_disk()
    if name and known and (text := name_problem(name, known)):
        yield "model.name", text
    runs = values.get("run", {}).get("dir")
    if runs and (text := _path_problem(runs, "new folder")):
        yield "run.dir", text


def _data_problems(root: str, validate: Mapping[str, Any]) -> Iterator[str]:
    way_out = "(see `reid-tui data prepare --help`)"
    if text := _path_problem(root, "folder"):
        yield f"{text} {way_out}" if text.startswith("no such") else text
        return
    splits = validate.get("splits", ()) if validate.get("on") == "splits" else ()
    wanted = ["train", *(f"{kind}{n}" for n in splits for kind in ("query", "gallery"))]
    problems = {name: text for name in wanted if (text := _unreadable(expand(root) / name, "folder"))}
    absent = [name for name, text in problems.items() if text.startswith("no such")]
    if absent:
        yield f"{expand(root)} has no folder {', '.join(absent)} {way_out}"
    yield from (text for name, text in problems.items() if name not in absent)


def _path_problem(given: str, kind: Literal["file", "folder", "new folder"]) -> str:
    """Why a path of a profile cannot be used, and the way out; empty: it can."""
    try:
        path = expand(given)
    except ProfileError as error:
        return error.problems[0]
    return _unwritable(path) if kind == "new folder" else _unreadable(path, kind)


def _unreadable(path: Path, kind: Literal["file", "folder"]) -> str:
    """Why a file or folder cannot be read, and the way out; empty: it can."""
    way_out = f"make it readable for you, or name another {kind}"
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"no such {kind}: {path}"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}; {way_out}"
    folder = kind == "folder"
    if not (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)):
        return f"no such {kind}: {path} is something else"
    return "" if _may(path, os.R_OK | (os.X_OK if folder else 0)) else f"{path} cannot be read; {way_out}"


def _unwritable(path: Path) -> str:
    """Why a folder cannot be made, or written to where it is there, and the way out; empty: it can."""
    way_out = "name another folder"
    for nearest_there in (path, *path.parents):
        try:
            mode = nearest_there.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            return f"{path} cannot be made: {error.strerror}; {way_out}"
        if not stat.S_ISDIR(mode):
            return f"{nearest_there} is a file, not a folder; {way_out}"
        if not _may(nearest_there, os.W_OK | os.X_OK):
            return f"{nearest_there} cannot be written to; make it writable for you, or {way_out}"
        return ""
    return f"{path} cannot be made; {way_out}"


def _may(path: Path, right: int) -> bool:
    return os.access(path, right, effective_ids=os.access in os.supports_effective_ids)


def is_weights_file(pretrained: str) -> bool:
    """Whether `model.pretrained` names a file, not a tag: it has a folder or one of the known suffixes."""
    return os.sep in pretrained or Path(pretrained).suffix in {".pt", ".pth", ".safetensors", ".bin"}


def expand(path: str) -> Path:
    """A path as a profile gives it: `~` and `$VARIABLES` taken in, relative to the working folder.

    Raises:
        ProfileError: it starts with `~name`, and nobody has that name here.
    """
    return _from_home(Path(os.path.expandvars(path)))


def _from_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        text = f"the home folder {path.parts[0]} is not known here; write the path in full"
        raise ProfileError(str(path), [text]) from error
