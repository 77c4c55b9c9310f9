"""Colours: few, and never the only sign of anything."""

from __future__ import annotations

from collections.abc import Mapping

from textual.theme import Theme

DARK = Theme(
    name="reid-dark",
    primary="#7aa2f7",
    secondary="#73daca",
    accent="#e0af68",
    success="#9ece6a",
    warning="#e0af68",
    error="#f7768e",
    foreground="#c8d0e8",
    background="#16181f",
    surface="#1b1e27",
    panel="#232733",
    dark=True,
    variables={
        "footer-key-foreground": "#e0af68",
        "footer-background": "#16181f",
        "input-selection-background": "#3b4261",
    },
)
LIGHT = Theme(
    name="reid-light",
    primary="#2959aa",
    secondary="#0f6e62",
    accent="#965027",
    success="#3a6c1d",
    warning="#8f5e15",
    error="#b0263f",
    foreground="#2a2f3d",
    background="#f7f7f4",
    surface="#efefea",
    panel="#e4e4dd",
    dark=False,
    variables={"footer-key-foreground": "#965027", "footer-background": "#f7f7f4"},
)
THEMES = (DARK, LIGHT)


def other_theme(name: str) -> str:
    """Light after dark, dark after any other."""
    return LIGHT.name if name == DARK.name else DARK.name


def first_theme(environ: Mapping[str, str]) -> str:
    """The theme to begin with: light if the terminal says that its background is (`COLORFGBG`), else dark."""
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in {"7", "15"} else DARK.name
