"""What the command palette offers: what the keys of the screen under it do, and the themes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from reid_tui.keys import KEYS, shown_key
from reid_tui.remembered import remember
from reid_tui.settings import settings_of
from reid_tui.theme import THEMES, short_name


def commands(app: App[Any], screen: Screen[Any]) -> Iterator[SystemCommand]:
    """The rows of the table of keys that do something on this screen now, in its order; then the themes."""
    active = {binding.binding.id: binding for binding in screen.active_bindings.values() if binding.enabled}
    for key in KEYS:
        found = active.get(key.id)
        if found is None or key.where == "app" or key.action.startswith(("move", "page")):
            continue
        title = f"{key.description}  ({shown_key(key.id, settings_of(app).keys)})"
        yield SystemCommand(title, key.tooltip, partial(app.run_action, found.binding.action, found.node))
    for theme in THEMES:
        current = f"{'dark' if theme.dark else 'light'}{', in use' if theme.name == app.theme else ''}"
        yield SystemCommand(f"Theme: {short_name(theme.name)}", current, partial(_choose, app, theme.name))


def _choose(app: App[Any], theme: str) -> None:
    app.theme = theme
    remember(app, theme=theme)
