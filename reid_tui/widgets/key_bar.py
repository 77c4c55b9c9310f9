"""The keys at the bottom of a screen."""

from __future__ import annotations

from textual.widgets import Footer


class KeyBar(Footer):
    """Textual's footer, which makes its keys anew whenever the focus moves or a dialog opens.

    Here they are made anew if they are others. Textual never lets go of the old ones: they stay in its list of watchers
    until what they watch changes, which it does not (Textualize/textual#6666).
    """

    _shown: object = None

    async def recompose(self) -> None:
        if not self.is_attached:  # the screen was taken down before this was called
            return
        wanted = [
            (binding.key, self.app.get_key_display(binding), binding.description, binding.action, enabled, tooltip)
            for _, binding, enabled, tooltip in self.screen.active_bindings.values()
            if binding.show
        ]
        if wanted == self._shown:
            return
        self._shown = wanted
        await super().recompose()
        for watchers in getattr(self, "__watchers", {}).values():
            watchers[:] = [(widget, callback) for widget, callback in watchers if not widget._closing]
