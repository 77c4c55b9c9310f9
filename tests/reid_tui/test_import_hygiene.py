"""The screen is there before torch is, and the engine knows of no screen."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import core


def modules_after(code: str) -> set[str]:
    """Top-level names in `sys.modules` of a fresh interpreter that has run the code."""
    program = f"{code}\nimport sys, json; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_app_does_not_import_torch() -> None:
    loaded = modules_after("import reid_tui.app, reid_tui.launch_app")
    assert "textual" in loaded
    assert not loaded & {"torch", "torchvision", "open_clip", "pydantic"}


def test_the_engine_does_not_import_textual() -> None:
    names = [module.name for module in pkgutil.walk_packages(core.__path__, "core.")]
    assert "core.events" in names
    loaded = modules_after("import " + ", ".join(names))
    assert not loaded & {"textual", "reid_tui", "rich"}
