"""When Python's garbage is collected: at no moment in which a person or a model waits.

A full collection stops everything, for a quarter of a second once torch is loaded, and drawing would bring on one every
second. So the app asks for them itself, and what lives for as long as the app does is frozen: they pass over it.
"""

from __future__ import annotations

import gc

SECONDS = 60.0  # from one collection that the app asks for to the next
_THRESHOLDS = (700, 10, 1000)  # the young as ever, all only where nobody has asked for long


def begin() -> None:
    """From now on, all of it is collected when it is asked for."""
    gc.set_threshold(*_THRESHOLDS)


def freeze() -> None:
    """Everything is imported and built: collections from now on pass over it, and take milliseconds."""
    gc.freeze()


def collect() -> None:
    """What was not frozen."""
    gc.collect()


def collect_all() -> None:
    """What was frozen as well: a run that is left, with its screen, its model and its memory on the device."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def end() -> None:
    """At the end of Python: what stays frozen is not taken down, and torch's libraries complain of leaks."""
    gc.unfreeze()
