"""`reid-tui cache`: what resized images take on the disk, and removing them."""

from __future__ import annotations

import argparse
import sys
import time


def add_cache_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("cache", help="show what resized images take on the disk, or remove them")
    parser.add_argument("--clear", action="store_true", help="remove what no run uses; it is made anew when wanted")
    parser.set_defaults(run=_cache)


def _cache(options: argparse.Namespace) -> int:
    from core.data.pixel_cache import cache_folder, clear, entries
    from core.printable import clean
    from reid_tui.text import ago, bytes_text, plural

    def say(text: str) -> None:
        sys.stdout.write(clean(text) + "\n")

    if options.clear:
        say(f"removed {bytes_text(clear())} from {cache_folder()}")
        return 0
    found = entries()
    if not found:
        say(f"the cache is empty: {cache_folder()}")
        return 0
    now = time.time()
    total = bytes_text(sum(entry.size for entry in found))
    say(f"{plural(len(found), 'entry', 'entries')}, {total} in {cache_folder()}")
    for entry in found:
        used = "in use" if entry.in_use else ago(now - entry.used)
        say(f"  {bytes_text(entry.size):>6}  {used:>7}  {entry.about or entry.key}")
    return 0
