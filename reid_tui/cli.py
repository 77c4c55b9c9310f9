"""`reid-tui`: the command line. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.errors import ProfileError, ReidError
from core.printable import clean
from reid_tui import __version__
from reid_tui.training import load_torch, resume_run, run_profile

if TYPE_CHECKING:
    from core.control import RunControl
    from core.events import Event, RunFinished
    from core.profile import Profile
    from core.run_plan import PlannedRun

    Emit = Callable[[Event], None]

Made = TypeVar("Made")
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
EXIT_REQUEUE = 75  # EX_TEMPFAIL of sysexits.h: try again later


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
        _complain([f"{error.title}:", *error.problems], "\n  ")
        return EXIT_USAGE
    except ReidError as error:
        _complain(f"{error.title}: {error.message}".splitlines(), "\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("reid-tui: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); the interpreter would complain once more when it flushes.
        sys.stdout = None
        return EXIT_FAILED


def _complain(lines: Sequence[str], between: str) -> None:
    """To standard error; names of files in it may hold anything."""
    print("reid-tui: " + between.join(map(clean, lines)), file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    from reid_tui.cache_command import add_cache_command
    from reid_tui.data_command import add_data_command
    from reid_tui.runs_command import add_runs_commands

    parser = argparse.ArgumentParser(
        prog="reid-tui", description="Fine-tune CLIP for re-identification and watch it in the terminal."
    )
    parser.add_argument("--version", action="version", version=f"reid-tui {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    launch = commands.add_parser("launch", help="pick a profile, train, watch")
    launch.add_argument(
        "profile",
        nargs="*",
        help="name or path of a profile; several run one after another; without one, a picker opens",
    )
    _add_run_options(launch)
    launch.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="TABLE.KEY=VALUE,VALUE",
        help="a run for each value, one after another; given twice, for each combination",
    )
    add_screen_options(launch)
    launch.add_argument("--detach", action="store_true", help="train in a process of its own, which no terminal ends")
    launch.set_defaults(run=_launch)

    demo = commands.add_parser("demo", help="train a small model on synthetic hands: about a minute on two cores")
    _add_run_options(demo)
    add_screen_options(demo)
    demo.set_defaults(run=_launch, profile=["demo"], sweep=[], detach=False)

    resume = commands.add_parser("resume", help="go on with a run that was stopped, killed or cut off")
    resume.add_argument("run_name", nargs="?", metavar="RUN", help="name or folder of the run; the latest by default")
    resume.add_argument("--runs", type=Path, metavar="DIR", help="look for runs in this folder only")
    _add_set_option(resume)
    _add_headless_options(resume)
    add_screen_options(resume)
    resume.add_argument("--detach", action="store_true", help="go on in a process of its own, and come back at once")
    resume.set_defaults(run=_resume)

    profiles = commands.add_parser("profiles", help="list the profiles, or show one with every default filled in")
    profiles.add_argument("profile", nargs="?", help="name or path of the profile to show")
    _add_profile_options(profiles)
    profiles.set_defaults(run=_profiles)

    add_runs_commands(commands)
    add_data_command(commands)
    add_cache_command(commands)
    return parser


def add_screen_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--low-bandwidth", action="store_true", help="for slow connections: one redraw a second, no blinking cursor"
    )


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
    _add_headless_options(parser)


def _add_headless_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--headless", action="store_true", help="no screen: a line per epoch and a table at the end")
    parser.add_argument(
        "--requeue",
        action="store_true",
        help="for batch jobs, headless: SIGUSR1 and SIGTERM save and stop the run, and the exit code is then "
        f"{EXIT_REQUEUE}: put the job back into the queue and resume",
    )


def _launch(options: argparse.Namespace) -> int:
    named = bool(options.profile)
    why = "" if options.detach and named else _why_headless(options)
    if not named and (why or options.sweep):
        what = f"without a screen there is no picker ({why})" if why else "--sweep needs a profile to sweep"
        print(f"reid-tui: {what}: name a profile, as in `reid-tui launch demo`", file=sys.stderr)
        return EXIT_USAGE
    runs = []
    if named:
        from core.profile_files import locate_profile
        from core.run_plan import plan_runs
        from core.sweep import parse_sweep

        sweeps = _all_of(parse_sweep, options.sweep)
        paths = _all_of(lambda name: locate_profile(name, options.profiles), options.profile)
        runs = plan_runs(paths, options.set, sweeps)
    if runs and options.detach:
        from core.run_folder import new_run_folder

        return _detach(*(new_run_folder(run.profile) for run in runs))
    if runs and why:
        if len(runs) > 1:
            return _headless_queue(runs, requeue=options.requeue)
        return _headless(partial(run_profile, runs[0].profile), requeue=options.requeue)
    return _app(run_profile, runs[0].profile if runs else None, options, runs if len(runs) > 1 else ())


def _all_of(make: Callable[[str], Made], texts: Sequence[str]) -> list[Made]:
    """What is made of each text; the problems of all of them at once."""
    made: list[Made] = []
    errors: list[ProfileError] = []
    for text in texts:
        try:
            made.append(make(text))
        except ProfileError as error:
            errors.append(error)
    if len(errors) > 1:
        raise ProfileError(
            ", ".join(error.source for error in errors),
            [f"{error.source}: {problem}" for error in errors for problem in error.problems],
        )
    if errors:
        raise errors[0]
    return made


def _resume(options: argparse.Namespace) -> int:
    from core.run_folder import resumed_profile
    from core.run_list import find_run

    folder = find_run(options.run_name, options.runs)
    profile = resumed_profile(folder, options.set)
    if done := _all_done(folder, profile.train.epochs):
        print(done)
        return 0
    if options.detach:
        return _detach(folder, overrides=options.set)
    go_on = partial(resume_run, folder, tuple(options.set))
    if _why_headless(options):
        return _headless(go_on, requeue=options.requeue)
    return _app(lambda _, emit, control: go_on(emit, control), profile, options)


def _all_done(folder: Path, epochs: int) -> str:
    """What to say of a run that has done all of its epochs and is saved; empty where there is something left to do."""
    from core.run_summary import summarize
    from reid_tui.text import resume_command

    run = summarize(folder)
    if run.standing != "finished" or run.epoch < epochs or not any(folder.glob("checkpoints/*_FINAL.pth")):
        return ""
    more = f"{resume_command(run.name)} --set train.epochs={2 * run.epoch}"
    return f"{clean(run.name)} has done all of its {run.epoch} epochs; for more of them: {more}"


def _why_headless(options: argparse.Namespace) -> str:
    """Why there is to be no screen; empty where there is."""
    if options.headless or options.requeue:
        return "--headless" if options.headless else "--requeue"
    from reid_tui.terminal import can_show_app

    can, why = can_show_app()
    return "" if can else why


def _headless(start: Callable[[Emit, RunControl], RunFinished], *, requeue: bool) -> int:
    from reid_tui.console import run_headless

    _ignore_signals()  # which is what is put back after the run, without a moment between
    return run_headless(start, requeue_code=EXIT_REQUEUE if requeue else None)


def _headless_queue(runs: Sequence[PlannedRun], *, requeue: bool) -> int:
    from reid_tui.headless_queue import run_queue_headless
    from reid_tui.run_queue import QueuedRun, RunQueue

    queue = RunQueue([QueuedRun(run.title, run.profile) for run in runs])
    _ignore_signals()
    return run_queue_headless(queue, run_profile, requeue_code=EXIT_REQUEUE if requeue else None)


def _ignore_signals() -> None:
    """The run is saved. A scheduler that asks once more while Python ends must not get another exit code for it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def _detach(*folders: Path, overrides: Sequence[str] = ()) -> int:
    from reid_tui.detached import how_to_come_back, start, start_queue

    if len(folders) > 1:
        process = start_queue(folders)
        lines = how_to_come_back(folders[0], folders[1:], process.pid)
    else:
        start(folders[0], overrides)
        lines = how_to_come_back(folders[0])
    print(*map(clean, lines), sep="\n")
    return 0


def _app(
    start_run: Callable[[Profile, Emit, RunControl], RunFinished],
    profile: Profile | None,
    options: argparse.Namespace,
    queued: Sequence[PlannedRun] = (),
) -> int:
    from reid_tui.launch_app import run_app

    code = run_app(
        start_run=start_run,
        selected=profile,
        profiles_dir=getattr(options, "profiles", None),
        overrides=options.set,
        warm=None if getattr(options, "detach", False) else load_torch,
        detach=getattr(options, "detach", False),
        queued=queued,
        low_bandwidth=options.low_bandwidth,
    )
    _ignore_signals()
    return code


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
        print(clean(f"{path.stem:<{width}}{path}"))
        for problem in reading.problems:
            print(f"    {clean(problem)}")
    return 0
