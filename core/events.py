"""What a run says: frozen dataclasses, each with a JSON form of one line.

A number that does not exist (the training loss of the baseline, say) is NaN; JSON has no NaN, so numbers that are
not finite are written as the strings "nan", "inf" and "-inf".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

NAN = math.nan
Phase = Literal["prepare", "train", "validate"]
Level = Literal["info", "warning", "error"]
CheckpointKind = Literal["LAST", "BEST", "FINAL"]
# "crashed" is never said by a run: it is what a reader finds where a process died without its last word.
EndReason = Literal["finished", "early-stop", "stopped", "failed", "crashed"]
StopAfter = Literal["batch", "epoch"]


@dataclass(frozen=True)
class Event:
    """Base of everything a run says. `time` is in seconds since the epoch, from the clock of the run's machine."""

    time: float


@dataclass(frozen=True)
class RunStarted(Event):
    """Everything is built; training begins."""

    run: str  # name of the run folder
    name: str  # the experiment
    folder: str  # absolute path of the run folder
    model: str
    pretrained: str
    dataset: str
    aspect: str
    image_size: tuple[int, int]  # height, width
    device: str  # "cuda:0 (NVIDIA H100)", "cpu (2 threads)"
    precision: str
    epochs: int
    batch_size: int
    batches_per_epoch: int
    identities: int
    train_images: int
    query_images: int
    gallery_images: int
    patience: int  # 0: no early stopping
    validated_on: str  # "query0/gallery0 (test split)", "held-out training identities"
    profile: dict[str, Any]  # the resolved profile, as its TOML tables
    resumed_epoch: int = 0  # the epoch that the run goes on in; 0: it began anew
    resumed_batch: int = 0  # batches of that epoch that were done


@dataclass(frozen=True)
class Progress(Event):
    """How far a phase is, and the averages over the batches since the last such event. Sent at the display rate."""

    phase: Phase
    epoch: int
    done: int  # batches in "train", images otherwise
    total: int
    images_per_second: float = NAN
    loss: float = NAN
    ce: float = NAN
    triplet: float = NAN
    grad_norm: float = NAN  # before clipping, the mean
    lr: float = NAN  # of the backbone


@dataclass(frozen=True)
class EpochMetrics:
    """One row of the table of epochs. Rates are in 0..1. Epoch 0 is the baseline before training."""

    epoch: int
    loss: float = NAN
    ce: float = NAN
    triplet: float = NAN
    train_rank1: float = NAN
    train_rank5: float = NAN
    train_rank10: float = NAN
    rank1: float = NAN
    rank5: float = NAN
    rank10: float = NAN
    mAP: float = NAN  # noqa: N815 - the field's own name
    mINP: float = NAN  # noqa: N815
    split: str = ""  # what the validation was on: "test" or "held-out"
    queries: int = 0
    queries_without_match: int = 0
    lr: float = NAN
    classifier_lr: float = NAN
    grad_norm: float = NAN
    images_per_second: float = NAN
    seconds: float = NAN  # training and validation together
    left_out: int = 0  # images, of training and validation together, that could not be read


def best_epoch(epochs: Iterable[EpochMetrics]) -> EpochMetrics | None:
    """The epoch with the best validation Rank-1, the earliest of equals; the baseline does not compete."""
    validated = [row for row in epochs if row.epoch > 0 and not math.isnan(row.rank1)]
    return max(validated, key=lambda row: (row.rank1, -row.epoch), default=None)


@dataclass(frozen=True)
class EpochFinished(Event):
    """An epoch and its validation are done."""

    metrics: EpochMetrics


@dataclass(frozen=True)
class Patience(Event):
    """State of early stopping, after a validation."""

    best_epoch: int
    best_rank1: float
    epochs_since_best: int
    patience: int


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint is on disk, whole."""

    kind: CheckpointKind
    path: str
    epoch: int
    reason: str = ""
    routine: bool = False  # saved at an epoch's end or by the clock; not worth a line in the log
    size: int = 0  # bytes; 0: not known


@dataclass(frozen=True)
class Paused(Event):
    """The run holds (`paused`), or goes on again."""

    paused: bool


@dataclass(frozen=True)
class Stopping(Event):
    """The run was told to end, and will after the batch or the epoch in hand."""

    after: StopAfter
    reason: str


@dataclass(frozen=True)
class Alert(Event):
    """Something that the person should see: what, and what to do."""

    level: Level
    title: str
    message: str
    kind: str = ""  # of an outage that may end, or come again: "loss-spike"; empty for what just happened
    since: float = NAN  # when the outage began, in seconds since the epoch


@dataclass(frozen=True)
class Cleared(Event):
    """The outage that the last alert of this kind told is over."""

    kind: str
    title: str  # of that alert


@dataclass(frozen=True)
class Gpu:
    """One GPU of the machine at one moment; NaN is what it does not tell."""

    index: int  # as nvidia-smi numbers it
    name: str
    cuda: int = -1  # N of cuda:N in the process that trains; -1: that process does not see it
    utilisation: float = NAN  # 0..1
    memory_used: float = NAN  # bytes, of everybody
    memory_total: float = NAN  # bytes
    temperature: float = NAN  # degrees Celsius
    power: float = NAN  # watts
    power_limit: float = NAN  # watts

    @property
    def ours(self) -> bool:
        return self.cuda >= 0


@dataclass(frozen=True)
class System(Event):
    """How the machine is, as the process that trains sees it. NaN is what is not known."""

    gpus: tuple[Gpu, ...] = ()
    cpu: float = NAN  # of `cpus`, what the run and its children use: 0..1
    cpus: float = NAN  # cores that the run may use
    ram: float = NAN  # bytes that the run and its children use
    ram_total: float = NAN  # bytes that there are, or that the container may use
    disk_free: float = NAN  # bytes, where the checkpoints go
    disk_total: float = NAN  # bytes
    data_wait: float = NAN  # share of the training since the last such event that was spent waiting for images


@dataclass(frozen=True)
class LogLine(Event):
    """A line for the log."""

    level: Level
    text: str


@dataclass(frozen=True)
class RunFinished(Event):
    """The run has ended, and why. Nothing follows it."""

    reason: EndReason
    message: str
    epoch: int  # the last epoch that was finished
    seconds: float
    checkpoints: tuple[str, ...] = field(default=())
    folder: str = ""  # the run folder, where there is one; a run may fail before it has begun
    not_saved: tuple[str, ...] = ()  # what could not be written, and why: "BEST of epoch 5: No space left on device"


_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        RunStarted,
        Progress,
        EpochFinished,
        Patience,
        CheckpointSaved,
        Paused,
        Stopping,
        Alert,
        Cleared,
        System,
        LogLine,
        RunFinished,
    )
}
_FIELDS: dict[Any, list[tuple[str, str]]] = {  # names and types, as they are written above
    kind: [(item.name, str(item.type)) for item in fields(kind)] for kind in (*_KINDS.values(), EpochMetrics, Gpu)
}
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_TYPES: dict[str, type] = {"int": int, "str": str, "bool": bool}
_LARGEST = 2**63  # of whole numbers: what is larger is damage, and no float
_WORDS: dict[str, tuple[str, ...]] = {
    name: get_args(globals()[name]) for name in ("Phase", "Level", "CheckpointKind", "EndReason", "StopAfter")
}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def to_json(event: Event) -> str:
    """One line of JSON, without its newline; the key "event" names the kind."""
    return json.dumps({"event": type(event).__name__, **_plain(asdict(event))}, allow_nan=False)


def _build(kind: type[Any], values: dict[str, Any]) -> Any:
    known = {}
    for name, wanted in _FIELDS[kind]:
        if name not in values:
            continue
        value = values[name]
        if wanted == "float":
            if type(value) is not float:
                value = _NOT_FINITE[value] if isinstance(value, str) else float(value)
        elif name == "metrics":
            value = _build(EpochMetrics, value)
        elif name == "gpus":
            value = tuple(_build(Gpu, gpu) for gpu in value)
        else:
            value = tuple(value) if isinstance(value, list) else value
            if not _fits(wanted, value):
                raise TypeError(f"{name} is {value!r}")
        known[name] = value
    return kind(**known)


def _fits(wanted: str, value: Any) -> bool:
    """Whether a damaged line has left a value that can be shown: whoever reads it relies on its type."""
    if wanted in _WORDS:
        return value in _WORDS[wanted]
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return False
    return isinstance(value, _TYPES.get(wanted, object))


def from_json(line: str) -> Event:
    """Read what `to_json` wrote. Unknown fields are passed over, so that older readers read newer files.

    Raises:
        ValueError: the line is torn, or no event.
    """
    try:
        values = json.loads(line)
        event: Event = _build(_KINDS[values["event"]], values)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"not an event: {line[:80]!r}") from error
    return event
