"""What is shown of the batches: all of them, each once, and the speed that they have."""

from __future__ import annotations

import math

import pytest

from core.batch_numbers import BatchNumbers
from core.sums import Sums


class Device:
    """Stands for the step: numbers come `late` batches after they were sent for. A batch has 50 images."""

    def __init__(self, late: int) -> None:
        self.late = late
        self.clock = 100.0
        self.batch = 0
        self.unread: list[Sums] = []
        self.on_the_way: tuple[int, list[Sums]] | None = None

    def train(self, seconds: float, images: int = 50) -> None:
        self.clock += seconds
        self.batch += 1
        self.unread.append(Sums(images=images, batches=1.0, loss=images * self.batch))

    def send(self) -> bool:
        if self.on_the_way is None and self.unread:
            self.on_the_way = self.batch + self.late, self.unread
            self.unread = []
        return self.on_the_way is not None

    def read(self, *, wait: bool = True) -> list[Sums]:
        come: list[Sums] = []
        if self.on_the_way and (wait or self.batch >= self.on_the_way[0]):
            come, self.on_the_way = self.on_the_way[1], None
        if wait:
            come, self.unread = come + self.unread, []
        return come


def follow(device: Device, batches: int, each: float = 0.05) -> tuple[list[Sums], list[float], Sums]:
    """Each window that is shown, the speed beside it, and the sums of the epoch."""
    sums = Sums()
    numbers = BatchNumbers(device, sums, lambda: device.clock)
    shown, rates = [], []
    for number in range(1, batches + 1):
        device.train(each)
        if window := numbers.look(0.25, last=number == batches):
            shown.append(window)
            rates.append(numbers.rate)
    return shown, rates, sums


@pytest.mark.parametrize("late", [0, 1, 3])
@pytest.mark.parametrize("batches", [1, 4, 5, 6, 7, 100])
def test_every_batch_is_shown_once_at_the_speed_that_it_had(late, batches):
    shown, rates, sums = follow(Device(late), batches)
    assert rates == pytest.approx([1000.0] * len(rates))
    assert sum(window.batches for window in shown) == sums.batches == batches
    assert sum(window.loss for window in shown) == sums.loss == 50 * sum(range(1, batches + 1))
    assert all(window.batches >= 5 for window in shown[:-1])
    if batches == 100:
        assert len(shown) == pytest.approx(batches / max(5, late + 1), abs=5)


def test_time_without_training_does_not_count():
    device, sums = Device(1), Sums()
    numbers = BatchNumbers(device, sums, lambda: device.clock)
    for _ in range(6):
        device.train(0.05)
        device.clock += 7.0
        numbers.hold(7.0)
        numbers.look(0.25, last=False)
    assert numbers.rate == pytest.approx(1000)


def test_numbers_that_a_checkpoint_waits_for_are_shown_with_those_that_follow():
    device, sums = Device(1), Sums()
    numbers = BatchNumbers(device, sums, lambda: device.clock)
    for number in range(1, 9):
        device.train(0.05)
        window = numbers.look(0.25, last=False)
        assert window is None or number > 6
        if number == 5:  # they are on their way
            numbers.take()
            assert sums.batches == 5
        if window:
            break
    assert window.batches == 6
    assert numbers.rate == pytest.approx(1000)


def test_batches_that_are_passed_over_move_on_without_numbers():
    device = Device(0)
    numbers = BatchNumbers(device, Sums(), lambda: device.clock)
    assert numbers.look(0.25, last=False) is None and math.isnan(numbers.rate)
    device.clock += 0.25
    assert numbers.look(0.25, last=False) == Sums() and numbers.rate == 0
