"""The keys at the bottom of a screen."""

from __future__ import annotations

from textual.widgets import Footer


class KeyBar(Footer):
    """Textual's footer, which makes its keys anew whenever one changes, and never lets go of the old ones.

    They stay in its list of watchers until what they watch changes, which it does not (Textualize/textual#6666): some
    four thousand objects for each dialog, in a screen that is open for days.
    """

    async def recompose(self) -> None:
        await super().recompose()
        for watchers in getattr(self, "__watchers", {}).values():
            watchers[:] = [(widget, callback) for widget, callback in watchers if not widget._closing]
