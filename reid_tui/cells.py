"""Text cut and padded to cells of the screen: a Chinese character takes two of them, an accent none."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` cells: padded, or cut at the end with an ellipsis."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width) if width > 0 else ""
    return " " * (width - length) + text if right else text + " " * (width - length)


def cut_middle(text: str, width: int, tail: int = 0) -> str:
    """At most `width` cells; what is too long keeps its beginning and its end: `tail` cells of it, 0: half of all."""
    length = cell_len(text)
    if length <= width:
        return text
    if width < 5:
        return fitted(text, width)
    tail = min(tail or width, (width - 1) // 2)
    head = set_cell_size(text, width - 1 - tail).rstrip()
    end = len(text)
    while end > 0 and cell_len(text[end - 1 :]) <= tail:
        end -= 1
    return f"{head}…{text[end:]}"
