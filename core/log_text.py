"""What an event reads like in a log: the same words on the screen, in `run.log` and on a plain console."""

from __future__ import annotations

import math
from pathlib import Path

from core.events import (
    Alert,
    CheckpointSaved,
    Cleared,
    EpochFinished,
    EpochMetrics,
    Event,
    Level,
    LogLine,
    Paused,
    RunFinished,
    RunStarted,
    Stopping,
)
from core.printable import clean


def percent(rate: float) -> str:
    """A rate in 0..1 as the field prints it: 71.4; a dash where there is none."""
    return "-" if math.isnan(rate) else f"{100 * rate:.1f}"


def loss_text(loss: float, decimals: int) -> str:
    """A loss; one that has exploded in a few characters as well."""
    return f"{loss:.{decimals}f}" if abs(loss) < 1e4 else f"{loss:.2e}"


def epoch_line(row: EpochMetrics) -> str:
    """An epoch in one line."""
    parts = [f"epoch {row.epoch}" if row.epoch else "baseline"]
    if not math.isnan(row.loss):
        parts.append(f"loss {loss_text(row.loss, 3)} (CE {loss_text(row.ce, 3)}, tri {loss_text(row.triplet, 3)})")
    if not math.isnan(row.rank1):
        parts.append(f"{row.split} R-1/5/10 {percent(row.rank1)}/{percent(row.rank5)}/{percent(row.rank10)}".lstrip())
        parts.append(f"mAP {percent(row.mAP)}")
    if not math.isnan(row.images_per_second):
        parts.append(f"{row.images_per_second:.0f} img/s")
    parts.append(f"{row.seconds:.1f} s")
    if row.left_out:
        parts.append(left_out(row))
    return "  ".join(parts)


def left_out(row: EpochMetrics) -> str:
    """How many images an epoch had to do without."""
    return f"{row.left_out} image{'s' if row.left_out > 1 else ''} left out"


def start_lines(run: RunStarted) -> str:
    """What is trained, on what, in three lines."""
    height, width = run.image_size
    return "\n".join(
        (
            f"{run.model} (weights: {run.pretrained}) at {height}x{width} on {run.device}, {run.precision}",
            f"{run.dataset} {run.aspect}".rstrip()
            + f": {run.train_images} images of {run.identities} identities, {run.batches_per_epoch} batches an epoch",
            f"validated on {run.validated_on}: {run.query_images} query and {run.gallery_images} gallery images",
        )
    )


def log_text(event: Event) -> tuple[Level, str] | None:
    """Level and text of an event that belongs in a log, or None; its lines are safe to print on a terminal."""
    if (said := _said(event)) is None:
        return None
    level, text = said
    return level, "\n".join(clean(line) for line in text.splitlines())


def _said(event: Event) -> tuple[Level, str] | None:
    match event:
        case RunStarted():
            return "info", start_lines(event)
        case EpochFinished(metrics=metrics):
            return "info", epoch_line(metrics)
        case CheckpointSaved():
            if event.routine:
                return None
            why = f" ({event.reason})" if event.reason else ""
            return "info", f"{event.kind} saved{why}: {Path(event.path).name}"
        case Paused():
            return "info", "paused" if event.paused else "training goes on"
        case Stopping(after="epoch"):
            return "info", f"ends after this epoch: {event.reason}"
        case Alert():
            return event.level, f"{event.title}: {event.message}"
        case Cleared():
            return "info", f"over: {event.title}"
        case LogLine():
            return event.level, event.text
        case RunFinished():
            lacks = [f"not saved: {what}" for what in event.not_saved]
            if event.reason == "failed":  # an alert has said why
                return "error", "\n".join([f"the run failed, with {event.epoch} epochs done", *lacks])
            if event.reason == "crashed":
                return "error", event.message
            return "warning" if lacks else "info", "\n".join([event.message, *lacks])
    return None
