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
# White on black; every text is brought to a contrast of 7:1 or more (`filters.LeastContrast`).
CONTRAST = Theme(
    name="reid-contrast",
    primary="#6cc7ff",
    secondary="#5ff0d0",
    accent="#ffd84a",
    success="#8cff66",
    warning="#ffd84a",
    error="#ff9a9a",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    dark=True,
    variables={
        "footer-key-foreground": "#ffd84a",
        "footer-background": "#000000",
        "input-selection-background": "#1f4f7a",
    },
)
# The colours of Okabe and Ito, which people with any kind of colour blindness can tell apart.
SAFE = Theme(
    name="reid-safe",
    primary="#56b4e9",
    secondary="#cc79a7",
    accent="#e69f00",
    success="#009e73",
    warning="#f0e442",
    error="#ee7733",
    foreground="#dddddd",
    background="#15171c",
    surface="#1b1e24",
    panel="#24272e",
    dark=True,
    variables={"footer-key-foreground": "#e69f00", "footer-background": "#15171c"},
)
SAFE_LIGHT = Theme(
    name="reid-safe-light",
    primary="#00629b",
    secondary="#7a2f5e",
    accent="#8a5a00",
    success="#00694c",
    warning="#8a5a00",
    error="#a83c00",
    foreground="#222222",
    background="#fafafa",
    surface="#f0f0f0",
    panel="#e6e6e6",
    dark=False,
    variables={"footer-key-foreground": "#8a5a00", "footer-background": "#fafafa"},
)
THEMES = (DARK, LIGHT, CONTRAST, SAFE, SAFE_LIGHT)
# Without colours (`NO_COLOR`): one background, so that what differs from it is what is to be told apart.
PLAIN = Theme(
    name="reid-plain",
    primary="#ffffff",
    secondary="#ffffff",
    accent="#ffffff",
    success="#ffffff",
    warning="#ffffff",
    error="#ffffff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    dark=True,
    variables={"footer-background": "#000000"},
)


def short_name(theme: str) -> str:
    """As it is written in settings and shown: "dark"."""
    return theme.removeprefix("reid-")


def other_theme(name: str) -> str:
    """The next theme; the first after the last, and after one that is none of these."""
    names = [theme.name for theme in THEMES]
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]


def first_theme(environ: Mapping[str, str], wanted: str = "") -> str:
    """The theme to begin with: that one, else light if the terminal says that its background is (`COLORFGBG`)."""
    if any(theme.name == f"reid-{wanted}" for theme in THEMES):
        return f"reid-{wanted}"
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in {"7", "15"} else DARK.name
