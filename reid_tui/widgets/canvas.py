"""What a chart is drawn with: how a cell is cut into dots, and which characters stand for them.

A chart knows dots and the signs of a `Canvas`, nothing else; another set of characters is another `Canvas`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Dots = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Canvas:
    """A cell is `across` dots wide and `down` dots high.

    Args:
        patterns: the character of each pattern of dots; bit `row * across + column` is the dot in that row and column,
            counted from the top left. The first one, no dot at all, is a space.
        markers: one for each series, at its end and in the legend; they are used in turns.
    """

    across: int
    down: int
    patterns: str
    markers: str
    best: str
    cursor: str
    upright: str
    tick: str
    corner: str
    level: str

    def cells(self, drawn: Dots) -> npt.NDArray[np.int64]:
        """(rows, columns) of patterns from (rows * down, columns * across) of dots; 0 where a cell is empty."""
        height, width = drawn.shape
        blocks = drawn.reshape(height // self.down, self.down, width // self.across, self.across)
        bits = 1 << np.arange(self.down * self.across, dtype=np.int64).reshape(self.down, self.across)
        return np.asarray((blocks * bits[None, :, None, :]).sum(axis=(1, 3)), dtype=np.int64)

    def marker(self, index: int) -> str:
        return self.markers[index % len(self.markers)]


def _braille() -> str:
    # Unicode numbers the dots of a cell by column, the lowest row last.
    bits = (0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80)
    points = (sum(bit for at, bit in enumerate(bits) if pattern >> at & 1) for pattern in range(256))
    return " " + "".join(chr(0x2800 + point) for point in points)[1:]


BRAILLE = Canvas(2, 4, _braille(), "●▲■◆○△□◇", "★", "┊", "│", "┤", "└", "─")
ASCII = Canvas(1, 2, " '.:", "o^#x@v%z", "*", "|", "|", "+", "+", "-")
