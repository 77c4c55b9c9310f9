"""`reid-tui runs`, `attach`, `stop`, `checkpoint`, `pause`, `continue`: runs of any process on this machine."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.printable import clean
from reid_tui.training import load_torch, run_profile

if TYPE_CHECKING:
    from core.run_summary import RunSummary

STARTING_SECONDS = 20.0  # so long a process may import and open its socket before it is given up
_ASKED = {
    "checkpoint": ("save a checkpoint of a live run", "is saved after the batch in hand"),
    "pause": ("hold a live run", "pauses after the batch in hand"),
    "continue": ("let a paused run go on", "goes on"),
}


def add_runs_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from reid_tui.cli import add_screen_options

    runs = commands.add_parser(
        "runs", help="the runs of this machine: sorted, filtered, opened, compared, deleted; into a pipe, a list"
    )
    add_screen_options(runs)
    _add_place(runs)
    runs.add_argument("--json", action="store_true", help="a line of JSON for each, with its whole profile")
    runs.set_defaults(run=_runs)

    attach = commands.add_parser("attach", help="watch a run, live or finished; several screens may")
    attach.add_argument("run_name", nargs="?", metavar="RUN", help="name or folder; the latest live one by default")
    _add_place(attach)
    add_screen_options(attach)
    attach.set_defaults(run=_attach)

    stop = commands.add_parser("stop", help="stop a live run after the batch in hand; it is saved")
    _add_run(stop)
    stop.add_argument("--after-epoch", action="store_true", help="after this epoch and its validation")
    stop.set_defaults(run=_stop)
    for what, (words, _) in _ASKED.items():
        parser = commands.add_parser(what, help=words)
        _add_run(parser)
        parser.set_defaults(run=_ask)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="name or folder of the run")
    _add_place(parser)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, metavar="DIR", help="look for runs in this folder only")


def _stop(options: argparse.Namespace) -> int:
    from core.run_list import find_run

    folder = find_run(options.run_name, options.runs)
    after = "epoch" if options.after_epoch else "batch"
    _tell(folder, do="stop", after=after)
    _say(f"{folder.name} stops after this {after}, and is saved")
    return 0


def _ask(options: argparse.Namespace) -> int:
    from core.run_list import find_run

    folder = find_run(options.run_name, options.runs)
    _tell(folder, do=options.command)
    _say(f"{folder.name} {_ASKED[options.command][1]}")
    return 0


def _tell(folder: Path, **request: str) -> None:
    """Ask a run, and give one that is still starting some time. Raises as `ask` does."""
    from core.control_socket import StartingError, ask

    deadline, said = time.monotonic() + STARTING_SECONDS, False
    while True:
        try:
            return ask(folder, **request)
        except StartingError:
            if time.monotonic() >= deadline:
                raise
        if not said:
            said = True
            sys.stderr.write(clean(f"{folder.name} is still starting; waiting for it …") + "\n")
            sys.stderr.flush()
        time.sleep(STARTING_SECONDS / 100)


def _attach(options: argparse.Namespace) -> int:
    from core.errors import ReidError
    from core.run_list import find_run
    from reid_tui.terminal import can_show_app

    folder = find_run(options.run_name, options.runs, live_first=True)
    can, why = can_show_app()
    if not can:
        raise ReidError("There is no screen to watch it on", f"{why}; its log is {folder / 'run.log'}")
    from reid_tui.launch_app import run_app

    return run_app(start_run=run_profile, attach=folder, low_bandwidth=options.low_bandwidth)


def _runs(options: argparse.Namespace) -> int:
    """On a terminal the screen of runs; plain lines into a pipe, or for `--json`."""
    from core.run_list import list_runs
    from reid_tui.terminal import can_show_app

    if not options.json and can_show_app()[0]:
        from reid_tui.launch_app import run_app

        return run_app(start_run=run_profile, list_runs=True, runs_dir=options.runs, warm=load_torch)
    runs = list_runs(options.runs)
    if options.json:
        import json
        from dataclasses import asdict

        for run in runs:
            best_epoch = run.best_epoch or None  # the baseline, 0, does not compete
            sys.stdout.write(json.dumps(_plain({"name": run.name, **asdict(run), "best_epoch": best_epoch})) + "\n")
    elif not runs:
        _say("there is no run yet; begin one with `reid-tui launch`")
    else:
        for line in run_lines(runs, time.time()):
            _say(line)
    return 0


def _plain(value: object) -> object:
    """As JSON has it: no NaN, so what is not known is null, and no dates or paths, so these are strings."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case float():
            return value if math.isfinite(value) else None
        case None | str() | int():
            return value
    return str(value)


def run_lines(runs: list[RunSummary], now: float) -> Iterator[str]:
    """A line for each run. The name is last: it is long, and whole it can be copied into the next command."""
    from core.log_text import percent
    from reid_tui.text import ago

    row = "{:<9} {:>9} {:>5} {:>5} {:>6}  {}".format
    yield row("state", "epoch", "R-1", "mAP", "age", "run")
    for run in runs:
        epoch = f"{run.epoch}/{run.epochs}"
        rates = percent(run.best_rank1), percent(run.best_map)
        yield row(run.standing, epoch, *rates, ago(now - run.began), run.name)


def _say(text: str) -> None:
    sys.stdout.write(clean(text) + "\n")
