"""Errors for the person at the terminal: what went wrong, where, and the way out. Printed without a traceback."""

from __future__ import annotations


class ReidError(Exception):
    """A fault with a known way out.

    Args:
        title: what went wrong, in a few words ("Image cannot be read").
        message: the file, the place and the way out; may hold several lines.
    """

    def __init__(self, title: str, message: str) -> None:
        super().__init__(f"{title}: {message}")
        self.title = title
        self.message = message


class ProfileError(ReidError):
    """A profile that cannot be used; `problems` holds one line for each thing that is wrong with it."""

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__(f"Profile {source} cannot be used", "\n".join(problems))
        self.source = source
        self.problems = problems


class DataError(ReidError):
    """A folder or an image that cannot be used."""


class WeightsError(ReidError):
    """A model, weights file or checkpoint that cannot be used."""
