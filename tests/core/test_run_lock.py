"""The lock of a run folder: one process holds it, others look, and it goes with its holder."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from core.errors import ReidError
from core.run_lock import held, hold, is_live
from tests.run_folders import holder, python, wait_until


def test_a_folder_is_live_while_it_is_held(tmp_path: Path) -> None:
    assert not is_live(tmp_path)
    assert not (tmp_path / ".lock").exists()  # looking leaves nothing
    with held(tmp_path):
        assert is_live(tmp_path)
        with pytest.raises(ReidError, match=rf"The run is live: another process trains in {tmp_path}; stop it first"):
            hold(tmp_path)
        assert is_live(tmp_path)
    assert not is_live(tmp_path)
    with held(tmp_path, hold(tmp_path)):
        assert is_live(tmp_path)
    assert not is_live(tmp_path)


def test_the_kernel_gives_it_back_when_its_holder_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert is_live(tmp_path)
        process.kill()
        process.wait(10)
        assert not is_live(tmp_path)
        with held(tmp_path):
            assert is_live(tmp_path)


def test_who_only_looks_is_waited_out(tmp_path: Path) -> None:
    looking = os.open(tmp_path / ".lock", os.O_RDONLY | os.O_CREAT)
    fcntl.flock(looking, fcntl.LOCK_SH)
    timer = threading.Timer(0.15, os.close, (looking,))
    timer.start()
    began = time.monotonic()
    with held(tmp_path):
        assert time.monotonic() - began >= 0.1
    timer.join()


def test_any_number_may_look_at_once(tmp_path: Path) -> None:
    with held(tmp_path):
        pass
    looking = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert not is_live(tmp_path)
    os.close(looking)


def test_holding_goes_on_although_others_look_all_the_time(tmp_path: Path) -> None:
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            is_live(tmp_path)

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(20):
            with held(tmp_path):
                pass
    finally:
        over.set()
        for looker in lookers:
            looker.join()


def test_a_descriptor_that_was_handed_over_keeps_it_when_the_first_process_dies(tmp_path: Path) -> None:
    first = python(
        """
import subprocess, sys
from pathlib import Path
from core.run_lock import hold
lock = hold(Path(sys.argv[1]))
code = "import sys; sys.stdin.read()"
child = subprocess.Popen([sys.executable, "-c", code], pass_fds=(lock,), start_new_session=True)
print(child.pid, flush=True)
sys.stdin.read()
""",
        str(tmp_path),
    )
    assert first.stdin is not None and first.stdout is not None
    child = int(first.stdout.readline())
    try:
        first.kill()
        first.wait(10)
        assert is_live(tmp_path)
        with pytest.raises(ReidError):
            hold(tmp_path)
        first.stdin.close()  # the child reads to its end
        wait_until(lambda: not is_live(tmp_path))
    finally:
        first.stdout.close()
        if is_live(tmp_path):
            os.kill(child, 9)


def test_a_child_gets_the_lock_only_where_it_is_handed_over(tmp_path: Path) -> None:
    with held(tmp_path):
        child = python("import sys; print('up', flush=True); sys.stdin.read()")
        assert child.stdout is not None
        child.stdout.readline()
    try:
        assert not is_live(tmp_path)
    finally:
        child.communicate()


def test_a_folder_that_is_gone_or_has_no_room_for_a_lock(tmp_path: Path) -> None:
    assert not is_live(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        hold(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        is_live(tmp_path / "file")
