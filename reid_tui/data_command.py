"""`reid-tui data`: build the folder layout from a public data set, or draw a synthetic one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.printable import clean

if TYPE_CHECKING:
    from core.data.prepare import Folder, Prepared

ASPECTS = ("dorsal-right", "dorsal-left", "palmar-right", "palmar-left")
_MISSING_SHOWN = 5


def add_data_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `data` and what belongs to it; each sets `run` to a function of the options that gives the exit code."""
    data = commands.add_parser("data", help="prepare a public data set, or draw a synthetic one")
    kinds = data.add_subparsers(dest="data_command", metavar="COMMAND", required=True)

    prepare = kinds.add_parser("prepare", help="build train/, queryN/ and galleryN/ from a data set as downloaded")
    sets = prepare.add_subparsers(dest="data_set", metavar="SET", required=True)
    hands = _add_set(sets, "11k-hands", "Hands/ and HandInfo.csv", _prepare_11k_hands)
    hands.add_argument("--aspect", choices=ASPECTS, required=True, help="side of the hand, and which hand")
    hands.add_argument("--seed", type=int, default=0, help="of val/ and of the ten splits (default: 0)")
    _add_set(sets, "market-1501", "bounding_box_train/, query/ and bounding_box_test/", _prepare_market_1501)

    demo = kinds.add_parser("demo", help="draw a small synthetic set of hands")
    demo.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")
    demo.add_argument("--seed", type=int, default=0, help="the same seed draws the same images (default: 0)")
    demo.add_argument("--identities", type=int, default=40, help="of train/; half as many to test (default: 40)")
    demo.add_argument("--images", type=int, default=10, help="of each identity of train/ (default: 10)")
    demo.add_argument("--size", type=int, default=112, help="height and width in pixels (default: 112)")
    demo.set_defaults(run=_demo)


def _add_set(
    sets: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    holds: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = sets.add_parser(name, help=f"a folder with {holds}")
    parser.add_argument("raw", type=Path, metavar="RAW", help=f"the folder that holds {holds}")
    parser.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")
    parser.set_defaults(run=run)
    return parser


def _prepare_11k_hands(options: argparse.Namespace) -> int:
    from core.data.prepare import prepare_11k_hands

    prepared = prepare_11k_hands(options.raw, options.out, options.aspect, options.seed)
    _show_prepared(prepared, f'dataset = "11k-hands"\naspect = "{options.aspect}"')
    return 0


def _prepare_market_1501(options: argparse.Namespace) -> int:
    from core.data.prepare import prepare_market_1501

    prepared = prepare_market_1501(options.raw, options.out)
    _show_prepared(prepared, "dataset = \"market-1501\"\ncamera_pattern = '_c(\\d+)'")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from core.data.demo_hands import draw_demo_hands
    from core.data.folders import read_folder
    from core.data.prepare import Folder

    draw_demo_hands(
        options.out,
        options.seed,
        identities=options.identities,
        images=options.images,
        test_identities=max(2, options.identities // 2),
        side=options.size,
    )
    folders = []
    for name in ("train", "query0", "gallery0"):
        images = read_folder(options.out / name)
        folders.append(Folder(name, len(images.identity_names), len(images)))
    _show_folders(options.out, folders)
    _show_next(options.out, 'dataset = "synthetic-hands"')
    return 0


def _show_prepared(prepared: Prepared, keys: str) -> None:
    from reid_tui.text import plural

    _show_folders(prepared.out, prepared.folders)
    lines = [f"{plural(count, 'image')} left out: {why}" for why, count in prepared.left_out]
    if prepared.single:
        lines.append(
            f"Identities with one image only, {prepared.single}: in train/ without val/, in galleryN/ without queryN/"
        )
    if prepared.missing:
        named = ", ".join(clean(name) for name in prepared.missing[:_MISSING_SHOWN])
        more = ", …" if len(prepared.missing) > _MISSING_SHOWN else ""
        lines.append(f"{plural(len(prepared.missing), 'image')} listed but missing: {named}{more}")
    lines += [f"Put there by {how}: {plural(count, 'image')}" for how, count in prepared.linked]
    _print(*lines)
    _show_next(prepared.out, keys)


def _show_folders(out: Path, folders: list[Folder] | tuple[Folder, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(clean(str(out))), title_justify="left")
    table.add_column("folder")
    table.add_column("identities", justify="right")
    table.add_column("images", justify="right")
    for folder in folders:
        table.add_row(Text(clean(folder.name)), str(folder.identities), str(folder.images))
    Console().print(table)


def _show_next(out: Path, keys: str) -> None:
    root = str(out.expanduser().resolve())
    quoted = clean(root).replace("\\", "\\\\").replace('"', '\\"')
    _print("", "Next: in the profile, under [data]:", f'root = "{quoted}"', *keys.splitlines())


def _print(*lines: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for line in lines:
        # Plain text, never markup; not wrapped, so that a path can be copied whole.
        console.print(Text(line), soft_wrap=True)
