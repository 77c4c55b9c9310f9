"""Deleting runs: the question, which names every one of them, and the doing, which says what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len

from core.errors import ReidError
from core.printable import clean
from core.run_fields import RunRow
from reid_tui.cells import cut_middle, fitted
from reid_tui.screens.dialogs import Choice, ChoiceDialog
from reid_tui.text import bytes_text, plural

NAMED = 8  # runs; of more the rest is counted
_BESIDE_NAME = 18  # cells: the size, and the frame of the dialog
_NAME_MOST = 44


@dataclass(frozen=True)
class Deletion:
    """What has come of it: how many runs are gone, and why the others are not."""

    count: int
    problems: tuple[str, ...]


def delete_dialog(rows: Sequence[RunRow], live: Sequence[RunRow], width: int) -> ChoiceDialog:
    """Results: "delete", "" for keeping them.

    Args:
        rows: those that would go.
        live: those that were marked as well, and stay.
        width: cells of the screen.
    """
    room = min(max(width - _BESIDE_NAME, 8), _NAME_MOST)
    tail = 15 if room == _NAME_MOST else 6  # date and time, or the time alone
    names = [cut_middle(clean(row.summary.name), room, tail) for row in rows[:NAMED]]
    longest = max(map(cell_len, names))
    lines = [f"{fitted(name, longest)}  {bytes_text(row.size):>6}" for name, row in zip(names, rows, strict=False)]
    if len(rows) > NAMED:
        rest = rows[NAMED:]
        lines.append(f"… and {len(rest)} more  {bytes_text(sum(row.size for row in rest))}")
    if live:
        lines += ["", f"{plural(len(live), 'live run')} marked as well: not deleted, stop first"]
    total = bytes_text(sum(row.size for row in rows))
    return ChoiceDialog(
        f"Delete {plural(len(rows), 'run')}, {total}",
        "\n".join(lines),
        (
            Choice("k", "Keep", "nothing is deleted", ""),
            Choice("d", "Delete", "for good, with every checkpoint", "delete"),
        ),
    )


def delete_runs(folders: Sequence[Path]) -> Deletion:
    """Delete each; one that cannot be does not keep the others. For a worker thread."""
    from core.run_delete import delete_run

    problems = []
    for folder in folders:
        try:
            delete_run(folder)
        except ReidError as error:
            problems.append(error.message)
    return Deletion(len(folders) - len(problems), tuple(problems))
