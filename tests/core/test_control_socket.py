"""The control socket: requests reach the control, nothing that is sent breaks it, nobody else can use it."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core import control_socket
from core.control import RunControl
from core.control_socket import LONGEST_REQUEST, MOST_PEERS, ControlServer, ask
from core.errors import ReidError
from tests.run_folders import wait_until

GOOD = b'{"do": "checkpoint"}\n'


@contextmanager
def connected(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(10)
        peer.connect(str(folder / ".control" / "socket"))
        yield peer


def send(folder: Path, data: bytes) -> bytes:
    """Send bytes and nothing more; gives the reply, empty where there was none."""
    with connected(folder) as peer:
        with suppress(BrokenPipeError):  # it had enough before the end
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            return peer.makefile("rb").readline()
        return b""


def refused(reply: bytes) -> str:
    answer = json.loads(reply)
    assert answer["ok"] is False
    return str(answer["error"])


def wishes(control: RunControl) -> tuple[object, ...]:
    return control.stopping, control.paused, control.reason, control._checkpoint


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, RunControl]]:
    control = RunControl()
    with ControlServer(tmp_path, control):
        yield tmp_path, control


@pytest.mark.parametrize(
    ("request_", "reached"),
    [
        ({"do": "stop", "after": "batch"}, lambda control: control.stopping == "batch"),
        ({"do": "stop", "after": "epoch"}, lambda control: control.stopping == "epoch"),
        ({"do": "checkpoint"}, lambda control: control.take_checkpoint()),
        ({"do": "pause"}, lambda control: control.paused),
    ],
    ids=["stop now", "stop later", "checkpoint", "pause"],
)
def test_each_request_reaches_the_control_and_no_other(
    served: tuple[Path, RunControl], request_: dict[str, str], reached: Callable[[RunControl], bool]
) -> None:
    folder, control = served
    ask(folder, **request_)
    assert reached(control)
    assert sum(bool(wish) for wish in (control.stopping, control.paused, control.take_checkpoint())) <= 1
    assert control.reason == ("stopped from outside" if control.stopping else "")


def test_a_paused_run_goes_on(served: tuple[Path, RunControl]) -> None:
    folder, control = served
    ask(folder, do="pause")
    assert control.paused
    ask(folder, do="continue")
    assert not control.paused


def test_a_run_that_is_about_to_stop_says_that_it_does_not_pause(served: tuple[Path, RunControl]) -> None:
    folder, control = served
    ask(folder, do="stop", after="epoch")
    with pytest.raises(ReidError, match=r"The run did not do it: the run is about to stop"):
        ask(folder, do="pause")
    assert not control.paused


def test_only_the_user_can_open_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with ControlServer(tmp_path, RunControl()):
            place = tmp_path / ".control"
            assert stat.S_IMODE(place.stat().st_mode) == 0o700
            assert stat.S_IMODE((place / "socket").stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert not place.exists()


def test_what_a_dead_process_left_is_cleared(tmp_path: Path) -> None:
    place = tmp_path / ".control"
    place.mkdir(mode=0o755)
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stale.bind(str(place / "socket"))
    stale.close()
    with pytest.raises(ReidError, match="no process of this machine trains in"):
        ask(tmp_path, do="checkpoint")
    control = RunControl()
    with ControlServer(tmp_path, control):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        ask(tmp_path, do="checkpoint")
    assert control.take_checkpoint()


def test_a_link_or_a_file_in_its_place_is_refused_and_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    (other / "socket").write_text("precious")
    place = tmp_path / ".control"
    place.symlink_to(other)
    with pytest.raises(OSError, match="is not a folder of this user"), ControlServer(tmp_path, RunControl()):
        pass
    assert place.is_symlink()
    assert stat.S_IMODE(other.stat().st_mode) == 0o755
    assert (other / "socket").read_text() == "precious"
    place.unlink()
    place.write_text("a file")
    with pytest.raises(OSError, match="is not a folder of this user"), ControlServer(tmp_path, RunControl()):
        pass
    assert place.read_text() == "a file"
    with pytest.raises(ReidError, match="The run cannot be asked"):
        ask(tmp_path, do="checkpoint")


@pytest.mark.parametrize("length", range(94, 112, 3))
def test_paths_about_as_long_as_the_kernel_takes(tmp_path: Path, length: int) -> None:
    with_socket = len(str(tmp_path / "x" / ".control" / "socket"))
    folder = tmp_path / ("x" * max(length - with_socket + 1, 1))
    folder.mkdir()
    control = RunControl()
    with ControlServer(folder, control):
        ask(folder, do="checkpoint")
    assert control.take_checkpoint()


def test_a_path_of_300_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("a" * 100) / ("b" * 100) / ("é" * 100)
    folder.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(folder))  # as TMPDIR would
    before = set(Path("/tmp").glob("reid-*"))
    control = RunControl()
    with ControlServer(folder, control):
        ask(folder, do="pause")
    assert control.paused
    assert not [link for link in Path("/tmp").glob("reid-*") if link not in before and (link / "l").is_symlink()]
    assert not (folder / ".control").exists()


def test_nobody_serves(tmp_path: Path) -> None:
    with pytest.raises(ReidError, match=rf"The run cannot be asked: no process of this machine trains in {tmp_path}"):
        ask(tmp_path, do="checkpoint")


def test_an_unknown_request_is_refused_with_those_that_are_known(served: tuple[Path, RunControl]) -> None:
    folder, control = served
    for request in ({"do": "dance"}, {"do": "stop"}, {"do": "stop", "after": "lunch"}, {}):
        with pytest.raises(ReidError, match="The run did not do it: known are stop"):
            ask(folder, **request)
    assert wishes(control) == wishes(RunControl())


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (None, "timed out"),
        (b"", "gave no answer"),
        (b"[]\n", "gave no answer"),
        (b'"ok"\n', "gave no answer"),
        (b"\xff\xfe\n", "The run cannot be asked"),
        (b'{"ok": "yes"}\n', "gave no answer"),
        (b"[" * 4096, "The run cannot be asked"),
    ],
    ids=["silence", "nothing", "list", "word", "no text", "ok is no flag", "deep"],
)
def test_a_run_that_does_not_answer_or_answers_nonsense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: bytes | None, words: str
) -> None:
    monkeypatch.setattr(control_socket, "PATIENCE", 0.2)
    (tmp_path / ".control").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / ".control" / "socket"))
        listener.listen()
        over = threading.Event()

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                if reply is None:
                    over.wait(10)
                else:
                    peer.recv(4096)
                    peer.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        began = time.monotonic()
        with pytest.raises(ReidError, match=words):
            ask(tmp_path, do="checkpoint")
        assert time.monotonic() - began < 2
        over.set()
        thread.join(10)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["do", "after"]) | st.text(), inner),
    max_leaves=6,
)
_near = st.fixed_dictionaries({"do": st.sampled_from(["stop", "Pause", "checkpoint ", "continue\0", None]) | _json})


@given(
    st.binary(max_size=300)
    | _json.map(lambda value: json.dumps(value).encode() + b"\n")
    | _near.map(lambda value: json.dumps(value).encode() + b"\n")
    | st.binary(max_size=40).map(lambda more: GOOD[:-2] + more)
)
@settings(max_examples=80, deadline=None)
def test_whatever_is_sent_it_goes_on_and_the_run_is_told_nothing(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    try:
        first = json.loads(data.split(b"\n")[0])
    except (ValueError, RecursionError):
        first = None
    good_after_all = isinstance(first, dict) and first.get("do") in ("checkpoint", "pause", "continue")
    assume(not good_after_all)
    folder, control = _server(tmp_path_factory)
    refused(send(folder, data))
    assert wishes(control) == wishes(RunControl())
    assert json.loads(send(folder, GOOD)) == {"ok": True}
    assert control.take_checkpoint()


_open = ExitStack()
_served: list[tuple[Path, RunControl]] = []


def _server(factory: pytest.TempPathFactory) -> tuple[Path, RunControl]:
    """One for all examples: what the first has sent must not harm the last."""
    if not _served:
        folder, control = factory.mktemp("served"), RunControl()
        _open.enter_context(ControlServer(folder, control))
        _served.append((folder, control))
    return _served[0]


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    _open.close()
    _served.clear()


def test_requests_that_are_too_long_or_too_deep(served: tuple[Path, RunControl]) -> None:
    folder, control = served
    room = LONGEST_REQUEST - len(GOOD)
    assert json.loads(send(folder, GOOD[:-1] + b" " * room + b"\n")) == {"ok": True}
    assert control.take_checkpoint()
    for long in (b" " * 2 * LONGEST_REQUEST + GOOD, b"x" * 1_000_000):
        reply = send(folder, long)
        assert not reply or "bytes at the most" in refused(reply)
    for deep in (b"[" * 4000, b'{"do":' * 600, b"[" * 2000 + b"]" * 2000):
        refused(send(folder, deep + b"\n"))
    assert not control.take_checkpoint()
    ask(folder, do="checkpoint")
    assert control.take_checkpoint()


def test_peers_that_say_nothing_keep_nobody_out_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_socket, "PATIENCE", 0.5)
    control = RunControl()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the listing has a descriptor of its own
    with ControlServer(tmp_path, control), ExitStack() as peers:
        ask(tmp_path, do="checkpoint")
        for _ in range(100):
            peers.enter_context(connected(tmp_path))
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(ReidError, match="The run did not do it: too many at once"):
                ask(tmp_path, do="checkpoint")
        wait_until(lambda: json.loads(send(tmp_path, GOOD)) == {"ok": True}, seconds=5)
        assert time.monotonic() - began < 3
        peers.close()
        half = [peers.enter_context(connected(tmp_path)) for _ in range(MOST_PEERS)]
        for peer in half:
            peer.sendall(b'{"do": "st')
        peers.close()  # gone in the middle: their places are free at once
        wait_until(lambda: json.loads(send(tmp_path, GOOD)) == {"ok": True}, seconds=0.4)
    wait_until(lambda: len(os.listdir("/proc/self/fd")) == descriptors)  # noqa: PTH208


def test_it_can_be_left_while_a_peer_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_socket, "PATIENCE", 0.3)
    with ExitStack() as peers:
        with ControlServer(tmp_path, RunControl()):
            peers.enter_context(connected(tmp_path))
            began = time.monotonic()
        assert time.monotonic() - began < 1
    assert not (tmp_path / ".control").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the kernel does not tell who the peer is")
def test_another_user_is_told_no_even_where_the_modes_let_them_in(served: tuple[Path, RunControl]) -> None:
    folder, control = served
    (folder / ".control" / "socket").chmod(0o666)
    place = os.open(folder / ".control", os.O_RDONLY)  # for the folders above may be closed to others
    (folder / ".control").chmod(0o755)
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.fchdir(place)
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                peer.settimeout(10)
                peer.connect("socket")
                with suppress(BrokenPipeError):  # the answer does not wait for the question
                    peer.sendall(GOOD)
                os.write(sink, peer.recv(4096))
            code = 0
        finally:
            os._exit(code)
    os.close(sink)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert refused(os.read(source, 4096)) == "another user's run"
    os.close(source)
    os.close(place)
    assert wishes(control) == wishes(RunControl())
