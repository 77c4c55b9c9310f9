"""When Python's garbage is collected: at no moment in which a person or a model waits for long.

A full collection stops everything, for a quarter of a second once torch is loaded, and drawing would bring on one every
second. So the app asks for them itself, and what lives for as long as the app does is frozen: they pass over it. What
redraws leave takes its time, too, milliseconds for each dialog; so they are asked for before there is much of it.
"""

from __future__ import annotations

import gc

LOOK_SECONDS = 1.0  # from one look at how much there is to the next
SECONDS = 60.0  # from one collection of what was frozen as well to the next, where a run was left meanwhile
_MUCH = 4  # collections of the middle generation: some 25,000 objects, ten to twenty milliseconds
_THRESHOLDS = (700, 10, 1000)  # the young as ever, all only where nobody has asked for long


def begin() -> None:
    """From now on, all of it is collected when it is asked for."""
    gc.set_threshold(*_THRESHOLDS)


def freeze() -> None:
    """Everything is imported and built: collections from now on pass over it, and take milliseconds."""
    gc.freeze()


def collect_much() -> None:
    """What was not frozen, where there is much of it."""
    if gc.get_count()[2] >= _MUCH:
        gc.collect()


def collect_all() -> None:
    """What was frozen as well: a run that is left, with its screen, its model and its memory on the device."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def end() -> None:
    """At the end of Python: what stays frozen is not taken down, and torch's libraries complain of leaks."""
    gc.unfreeze()
