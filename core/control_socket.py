"""The door to a live run for other processes: a socket in its run folder, one JSON line a request, one a reply.

    {"do": "stop", "after": "epoch"}   ->  {"ok": true}
    {"do": "checkpoint"} {"do": "pause"} {"do": "continue"}
    anything else                      ->  {"ok": false, "error": "…"}

Only the user of the run can ask: the socket has mode 0600 in a folder of mode 0700, and the peer's user id is looked
at as well. Whatever is sent, the run goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import stat
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.control import RunControl
from core.errors import ReidError
from core.run_lock import is_live, is_waiting

SOCKET_FOLDER, SOCKET_NAME = ".control", "socket"
LONGEST_REQUEST = 4096  # bytes, newline included
PATIENCE = 2.0  # seconds that a peer has for its request, and a run for its reply
MOST_PEERS = 16  # at once; more would take the descriptors that the training needs
_LONGEST_ADDRESS = 100  # bytes; the kernel takes 104 to 108


class StartingError(ReidError):
    """The process of the run has its folder, and no socket yet: it imports what it needs."""


class ControlServer:
    """Takes requests for as long as it is entered, on a thread of its own, and passes them to a control.

    Args:
        folder: the run folder, held by this process: a socket that is there already belongs to a dead one.
        control: is told.

    Raises:
        OSError: on entering: the file system has no sockets, or the folder of the socket is not ours.
    """

    def __init__(self, folder: Path, control: RunControl) -> None:
        self._folder = folder / SOCKET_FOLDER
        self._control = control
        self._peers = 0

    def __enter__(self) -> ControlServer:
        listener = self._bind()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="control-socket", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)
        shutil.rmtree(self._folder, ignore_errors=True)  # what stays is cleared by whoever resumes the run

    def _bind(self) -> socket.socket:
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
        status = self._folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise PermissionError(f"{self._folder} is not a folder of this user")
        self._folder.chmod(0o700)
        path = self._folder / SOCKET_NAME
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(path) as address:
                listener.bind(address)
            path.chmod(0o600)
            listener.listen(MOST_PEERS)
        except BaseException:
            listener.close()
            raise
        return listener

    def _run(self, listener: socket.socket) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(listener))
        finally:
            self._loop.close()

    async def _serve(self, listener: socket.socket) -> None:
        async with await asyncio.start_unix_server(self._peer, sock=listener, limit=LONGEST_REQUEST):
            await self._over.wait()

    async def _peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers += 1
        try:
            # A peer that goes in the middle, or never says anything, is not worth a word in the log.
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    reply = await self._reply(reader, writer)
                    writer.write(json.dumps(reply).encode() + b"\n")
                    await writer.drain()
        finally:
            self._peers -= 1
            writer.close()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, object]:
        if self._peers > MOST_PEERS:
            return {"ok": False, "error": "too many at once"}
        if not _same_user(writer.get_extra_info("socket")):
            return {"ok": False, "error": "another user's run"}
        try:
            line = await reader.readline()
        except ValueError:
            return {"ok": False, "error": f"a request has {LONGEST_REQUEST} bytes at the most"}
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"ok": False, "error": "a request is one line of JSON"}
        return self._do(request)

    def _do(self, request: Any) -> dict[str, object]:
        match request:
            case {"do": "stop", "after": "epoch"}:
                self._control.stop_after_epoch("stopped from outside")
            case {"do": "stop", "after": "batch"}:
                self._control.stop_after_batch("stopped from outside")
            case {"do": "checkpoint"}:
                self._control.checkpoint()
            case {"do": "pause"}:
                self._control.pause()
                if not self._control.paused:
                    return {"ok": False, "error": "the run is about to stop"}
            case {"do": "continue"}:
                self._control.resume()
            case _:
                return {"ok": False, "error": "known are stop (after: batch or epoch), checkpoint, pause, continue"}
        return {"ok": True}


def ask(folder: Path, **request: str) -> None:
    """Ask a live run to do something: `ask(folder, do="checkpoint")`. It is done after the batch in hand.

    Raises:
        StartingError: the run is live, and takes no requests yet.
        ReidError: the run is not live, cannot be reached, or did not take the request.
    """
    path = folder / SOCKET_FOLDER / SOCKET_NAME
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(PATIENCE)
            with _short(path) as address:
                peer.connect(address)
            with contextlib.suppress(BrokenPipeError):  # who refuses us answers before we have asked
                peer.sendall(json.dumps(request).encode() + b"\n")
            with peer.makefile("rb") as answer:
                reply = json.loads(answer.readline(LONGEST_REQUEST) or b"{}")
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise _nobody(folder) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ReidError("The run cannot be asked", f"{path}: {error or 'no answer'}") from error
    if not (isinstance(reply, dict) and reply.get("ok") is True):
        why = reply.get("error") if isinstance(reply, dict) else None
        raise ReidError("The run did not do it", str(why or "it gave no answer"))


def _nobody(folder: Path) -> ReidError:
    """Why there is nobody behind the socket."""
    with contextlib.suppress(OSError):  # a lock that cannot be looked at is another user's
        if is_live(folder):
            if is_waiting(folder):
                return ReidError("The run cannot be asked", "it waits in a queue, and has not begun")
            return StartingError("The run cannot be asked", "it is still starting; try again in a moment")
    return ReidError("The run cannot be asked", f"no process of this machine trains in {folder}")


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """An address of the path that is short enough for a socket: through a symbolic link, where it needs one."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="reid-", dir="/tmp") as place:  # TMPDIR may be long itself
        link = Path(place) / "l"
        link.symlink_to(path.parent.resolve())
        yield str(link / path.name)


def _same_user(peer: socket.socket) -> bool:
    """Whether the peer is the user of this process. Where the kernel does not tell, the modes alone keep others out."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return bool(user == os.getuid())
