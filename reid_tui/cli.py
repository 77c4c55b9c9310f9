"""`reid-tui`: the command line. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ProfileError, ReidError
from reid_tui import __version__

if TYPE_CHECKING:
    from core.control import RunControl
    from core.events import Event, RunFinished
    from core.profile import Profile

    Emit = Callable[[Event], None]

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 where it did its job, 1 where it failed, 2 where it was asked wrongly."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return EXIT_USAGE
    try:
        code: int = options.run(options)
        return code
    except ProfileError as error:
        print(f"reid-tui: {error.title}:", *error.problems, sep="\n  ", file=sys.stderr)
        return EXIT_USAGE
    except ReidError as error:
        print(f"reid-tui: {error.title}: {error.message}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("reid-tui: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); the interpreter would complain once more when it flushes.
        sys.stdout = None
        return EXIT_FAILED


def build_parser() -> argparse.ArgumentParser:
    from reid_tui.data_command import add_data_command

    parser = argparse.ArgumentParser(
        prog="reid-tui", description="Fine-tune CLIP for re-identification and watch it in the terminal."
    )
    parser.add_argument("--version", action="version", version=f"reid-tui {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    launch = commands.add_parser("launch", help="pick a profile, train, watch")
    launch.add_argument("profile", nargs="?", help="name or path of a profile; without one, a picker opens")
    _add_run_options(launch)
    launch.set_defaults(run=_launch)

    demo = commands.add_parser("demo", help="train a small model on synthetic hands: about a minute on two cores")
    _add_run_options(demo)
    demo.set_defaults(run=_launch, profile="demo")

    resume = commands.add_parser("resume", help="go on with a run that was stopped, killed or cut off")
    resume.add_argument("run_name", nargs="?", metavar="RUN", help="name or folder of the run; the latest by default")
    resume.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of the run folders")
    _add_set_option(resume)
    _add_headless_option(resume)
    resume.set_defaults(run=_resume)

    profiles = commands.add_parser("profiles", help="list the profiles, or show one with every default filled in")
    profiles.add_argument("profile", nargs="?", help="name or path of the profile to show")
    _add_profile_options(profiles)
    profiles.set_defaults(run=_profiles)

    add_data_command(commands)
    return parser


def _add_profile_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profiles", type=Path, metavar="DIR", help="folder of profiles that is searched first")
    _add_set_option(parser)


def _add_set_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="TABLE.KEY=VALUE",
        help="override a value of the profile, for example train.lr=1e-5; may be given several times",
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    _add_profile_options(parser)
    _add_headless_option(parser)


def _add_headless_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--headless", action="store_true", help="no screen: a line per epoch and a table at the end")


def _launch(options: argparse.Namespace) -> int:
    from core.profile_files import load_profile, locate_profile

    why = _why_headless(options)
    profile = load_profile(locate_profile(options.profile, options.profiles), options.set) if options.profile else None
    if profile is None and why:
        print(
            f"reid-tui: without a screen there is no picker ({why}): name a profile, as in `reid-tui launch demo`",
            file=sys.stderr,
        )
        return EXIT_USAGE
    if profile is not None and why:
        return _headless(partial(_run_profile, profile))
    return _app(_run_profile, profile, options)


def _resume(options: argparse.Namespace) -> int:
    from core.run_folder import find_run, resumed_profile

    folder = find_run(options.runs, options.run_name)
    profile = resumed_profile(folder, options.set)
    go_on = partial(_resume_run, folder, tuple(options.set))
    if _why_headless(options):
        return _headless(go_on)
    return _app(lambda _, emit, control: go_on(emit, control), profile, options)


def _why_headless(options: argparse.Namespace) -> str:
    """Why there is to be no screen; empty where there is."""
    if options.headless:
        return "--headless"
    from reid_tui.terminal import can_show_app

    can, why = can_show_app()
    return "" if can else why


def _headless(start: Callable[[Emit, RunControl], RunFinished]) -> int:
    from reid_tui.console import run_headless

    return run_headless(start)


def _app(
    start_run: Callable[[Profile, Emit, RunControl], object], profile: Profile | None, options: argparse.Namespace
) -> int:
    from reid_tui.launch_app import run_app

    return run_app(
        start_run=start_run,
        selected=profile,
        profiles_dir=getattr(options, "profiles", None),
        overrides=options.set,
        warm=_load_torch,
    )


def _run_profile(profile: Profile, emit: Emit, control: RunControl) -> RunFinished:
    """In the training thread of the app; torch is imported here, after the first frame."""
    from core.session import run_profile

    return run_profile(profile, emit, control)


def _resume_run(folder: Path, overrides: Sequence[str], emit: Emit, control: RunControl) -> RunFinished:
    from core.session import resume_run

    return resume_run(folder, overrides, emit, control)


def _load_torch() -> None:
    import core.session
    from core.architectures import import_open_clip

    assert core.session
    import_open_clip()


def _profiles(options: argparse.Namespace) -> int:
    from core.profile_files import find_profiles, load_profile, locate_profile, read_profile, write_profile

    if options.profile:
        path = locate_profile(options.profile, options.profiles)
        print(write_profile(load_profile(path, options.set, check_folders=False)), end="")
        return 0
    paths = find_profiles(options.profiles)
    width = max((len(path.stem) for path in paths), default=0) + 2
    for path in paths:
        reading = read_profile(path, options.set)
        print(f"{path.stem:<{width}}{path}")
        for problem in reading.problems:
            print(f"    {problem}")
    return 0
