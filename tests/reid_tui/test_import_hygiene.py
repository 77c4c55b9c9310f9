"""The screen is there before torch is, and the engine knows of no screen."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from importlib.util import find_spec

import core
from reid_tui.app_runs import NEXT_SCREENS


def modules_after(code: str) -> set[str]:
    """Top-level names in `sys.modules` of a fresh interpreter that has run the code."""
    program = f"{code}\nimport sys, json; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_app_does_not_import_torch() -> None:
    loaded = modules_after("import reid_tui.app, reid_tui.launch_app")
    assert "textual" in loaded
    assert not loaded & {"torch", "torchvision", "open_clip", "pydantic"}


def test_a_profile_is_checked_without_open_clip() -> None:
    loaded = modules_after("from core import profile_files as p; p.read_profile(p.Path('profiles/demo.toml'))")
    assert "pydantic" in loaded
    assert not loaded & {"torch", "torchvision", "open_clip", "numpy"}


FIRST_FRAME = """
import json, sys
from reid_tui.app import ReidApp
import reid_tui.launch_app
from reid_tui.screens.picker import PickerScreen

loaded = []

def look(app):
    if not loaded and isinstance(app.screen, PickerScreen):
        lines = "".join(strip.text for strip in app.screen._compositor.render_strips())
        if "Filter" in lines and "Profiles" in lines:
            loaded.extend(sorted(sys.modules))
            app.exit()

ReidApp.post_display_hook = look  # after each display
ReidApp([], None, (), None, lambda *_: None, warm=lambda: None).run(headless=True, size=(120, 40))
print(json.dumps(loaded))
"""
SCREENS = {f"reid_tui.screens.{name}" for name in ("dashboard", "runs", "compare", "queue", "editor", "help", "alerts")}


def test_the_picker_is_drawn_before_anything_else_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_FRAME], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "reid_tui.screens.picker" in loaded
    assert not loaded & SCREENS
    assert not loaded & {"torch", "numpy", "pydantic", "PIL", "psutil", "core.profile", "reid_tui.widgets.chart"}


def test_every_next_screen_is_one() -> None:
    assert all(find_spec(name) for name in NEXT_SCREENS)


def test_the_help_of_the_command_line_imports_no_terminal() -> None:
    program = (
        "import contextlib, sys; from reid_tui.cli import main\nwith contextlib.suppress(SystemExit): main(['--help'])"
    )
    assert not modules_after(program) & {"textual", "rich", "numpy", "pydantic", "torch"}


def test_the_engine_does_not_import_textual() -> None:
    names = [module.name for module in pkgutil.walk_packages(core.__path__, "core.")]
    assert "core.events" in names
    loaded = modules_after("import " + ", ".join(names))
    assert not loaded & {"textual", "reid_tui", "rich"}
