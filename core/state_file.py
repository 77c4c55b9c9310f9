"""`events.state`: the `RunState` that the events up to a byte of `events.jsonl` come to. torch is not needed for it.

It is nothing but a cache. A file that is missing, torn, damaged, of another format or about other events than those of
the event file is as good as none.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from array import array
from base64 import b64decode, b64encode
from collections import deque
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from core.atomic import atomic_write_bytes
from core.events import (
    Alert,
    CheckpointSaved,
    EpochMetrics,
    Event,
    Patience,
    Progress,
    RunFinished,
    RunStarted,
    System,
    from_json,
    to_json,
)
from core.run_state import SYSTEMS_KEPT, LossHistory, RunState

NAME = "events.state"
FORMAT = 1  # another number with every change of what `fold` makes of the same events, or of how it is written here
_SEEN = 1 << 14  # bytes at both ends of what was folded that tell whether the event file is still the same
_ROW = fields(EpochMetrics)
_KINDS: dict[str, type | tuple[type, ...]] = {"float": (float, int), "int": int, "str": str}
_ROW_KINDS = [_KINDS[str(item.type)] for item in _ROW]
_Told = TypeVar("_Told", bound=Event)


@dataclass(frozen=True)
class Stored:
    """A state and what it is of: `position` bytes of the event file; `size`: bytes of the file that it is kept in."""

    state: RunState
    position: int
    size: int


def write_state(folder: Path, state: RunState, position: int) -> int:
    """Keep the state that the first `position` bytes of the event file come to; gives the bytes that it takes.

    Raises:
        OSError: it cannot be written; what was kept before is as it was.
    """
    body = json.dumps(_plain(state), separators=(",", ":")).encode()
    head = {"format": FORMAT, "position": position, "events": _mark(folder, position), "body": zlib.crc32(body)}
    data = json.dumps(head).encode() + b"\n" + body
    atomic_write_bytes(folder / NAME, data)
    return len(data)


def read_state(folder: Path) -> Stored | None:
    """What is kept, if it is whole and of the events that are there.

    Raises:
        OSError: the event file is there and cannot be read.
    """
    try:
        data = (folder / NAME).read_bytes()
    except OSError:  # or there is none: the events tell all that is in it
        return None
    end = data.find(b"\n")
    try:
        head = json.loads(data[: max(end, 0)])
        position = head["position"]
        if head["format"] != FORMAT or type(position) is not int or position < 0:
            return None
        body = data[end + 1 :]
        if head["body"] != zlib.crc32(body) or head["events"] != _mark(folder, position):
            return None
        return Stored(_state(json.loads(body)), position, len(data))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _mark(folder: Path, position: int) -> list[int]:
    """What tells the first `position` bytes of the event file from others; empty where there are not as many."""
    try:
        with (folder / "events.jsonl").open("rb") as file:
            if file.seek(0, os.SEEK_END) < position:
                return []
            marks = []
            for start in (0, max(position - _SEEN, 0)):
                file.seek(start)
                marks.append(zlib.crc32(file.read(min(_SEEN, position - start))))
            return [position, *marks]
    except FileNotFoundError:
        return []


def _plain(state: RunState) -> dict[str, Any]:
    def line(event: Event | None) -> str | None:
        return to_json(event) if event else None

    return {
        "started": line(state.started),
        "progress": line(state.progress),
        "patience": line(state.patience),
        "finished": line(state.finished),
        "checkpoints": [to_json(event) for event in state.checkpoints],
        "alerts": [to_json(event) for event in state.alerts],
        "systems": [to_json(event) for event in state.systems],
        "epochs": [astuple(row) for row in state.epochs],
        "epoch_ends": state.epoch_ends,
        "epoch_times": state.epoch_times,
        "losses": {name: _packed(values) for name, values in vars(state.losses).items()},
        "over": state.over,
        "log": state.log,
        "log_total": state.log_total,
        "alerts_total": state.alerts_total,
        "paused": state.paused,
        "stopping": state.stopping,
        "now": state.now,
        "began": state.began,
    }


def _state(plain: dict[str, Any]) -> RunState:
    """The other way. What does not fit raises one of the errors that `read_state` knows."""
    losses = {item.name: _unpacked(plain["losses"][item.name]) for item in fields(LossHistory)}
    if len({len(values) for values in losses.values()}) != 1:
        raise ValueError("series of several lengths")
    epochs = [_row(values) for values in plain["epochs"]]
    ends, times = _numbers(plain["epoch_ends"]), _numbers(plain["epoch_times"])
    if not len(epochs) == len(ends) == len(times):
        raise ValueError("epochs without their times")
    if plain["stopping"] not in (None, "batch", "epoch"):
        raise ValueError("a word that is none")
    return RunState(
        started=_one(RunStarted, plain["started"]),
        progress=_one(Progress, plain["progress"]),
        epochs=epochs,
        epoch_ends=ends,
        epoch_times=times,
        losses=LossHistory(**losses),
        patience=_one(Patience, plain["patience"]),
        checkpoints=[_event(CheckpointSaved, line) for line in plain["checkpoints"]],
        alerts=[_event(Alert, line) for line in plain["alerts"]],
        alerts_total=_whole(plain["alerts_total"]),
        over={str(kind): time for kind, time in zip(plain["over"], _numbers([*plain["over"].values()]), strict=True)},
        systems=deque((_event(System, line) for line in plain["systems"]), maxlen=SYSTEMS_KEPT),
        log=[(_number(time), str(level), str(text)) for time, level, text in plain["log"]],
        log_total=_whole(plain["log_total"]),
        paused=plain["paused"] is True,
        stopping=plain["stopping"],
        finished=_one(RunFinished, plain["finished"]),
        now=_number(plain["now"]),
        began=_number(plain["began"]),
    )


def _one(kind: type[_Told], line: str | None) -> _Told | None:
    return None if line is None else _event(kind, line)


def _event(kind: type[_Told], line: str) -> _Told:
    if not isinstance(event := from_json(line), kind):
        raise ValueError(f"no {kind.__name__}")
    return event


def _row(values: list[Any]) -> EpochMetrics:
    if len(values) != len(_ROW) or not all(map(isinstance, values, _ROW_KINDS)):
        raise ValueError("not an epoch")
    return EpochMetrics(*values)


def _packed(values: list[float]) -> str:
    """Doubles, the low byte first, in base64: of long lists they are read ten times as fast as digits."""
    doubles = array("d", values)
    if sys.byteorder == "big":
        doubles.byteswap()
    return b64encode(doubles.tobytes()).decode()


def _unpacked(text: str) -> list[float]:
    doubles = array("d")
    doubles.frombytes(b64decode(text, validate=True))
    if sys.byteorder == "big":
        doubles.byteswap()
    return doubles.tolist()


def _numbers(values: list[Any]) -> list[float]:
    if not isinstance(values, list) or not set(map(type, values)) <= {float, int}:
        raise ValueError("not numbers")
    return values


def _number(value: Any) -> float:
    return _numbers([value])[0]


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value
