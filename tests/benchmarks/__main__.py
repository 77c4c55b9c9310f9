"""Measures and prints a table: python -m tests.benchmarks [NAME ...] [--json FILE]

Each benchmark has a process of its own, so that none meets the memory and threads of another.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.machine import machine
from tests.benchmarks.row import Row

NAMES = ("input_pipeline", "evaluation", "train_loop", "with_app", "startup", "key_press", "traffic", "open_run", "gpu")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)} (all)")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    parser.add_argument("--rows", action="store_true", help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    names = arguments.names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if arguments.rows:
        (name,) = names
        print(json.dumps([asdict(row) for row in import_module(f"tests.benchmarks.{name}").rows()]))
        return 0
    described = machine()
    rows = {name: _rows(name) for name in names}
    _show(described, rows)
    if arguments.json:
        content = {"machine": described, "figures": {name: [asdict(row) for row in rows[name]] for name in names}}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


def _rows(name: str) -> list[Row]:
    print(f"{name} …", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, "-m", __package__, name, "--rows"], stdout=subprocess.PIPE, check=True)
    return [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def _show(described: dict[str, str], rows: dict[str, list[Row]]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 200)
    for key, value in described.items():
        console.print(f"{key}: {value}", highlight=False)
    table = Table("what", "against", "figure", "to reach", "", "medians")
    for part in rows.values():
        for row in part:
            figure = "—" if row.value is None else f"{row.value:.3g} {row.unit}"
            target = "" if row.target is None else f"{'≥' if row.at_least else '≤'} {row.target:g}"
            sign = {True: "✔", False: "✘", None: ""}[row.reached]
            table.add_row(row.what, row.against, figure, target, sign, row.detail)
        table.add_section()
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
