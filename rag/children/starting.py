"""Two ways to start a child: as a command, and as a fork of a server that has loaded what its children need.

The server is `python -m rag.children.starting MODULE SOCKET`.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, NoReturn, Protocol

from rag.children.environment import child_environment

PROJECT = Path(__file__).parents[2]
MOST_BYTES = 2**16
"""Of a job, which is a file's place and its limits."""

STDOUT, STDERR = 1, 2

CAN_FORK = sys.platform == "linux"
"""Elsewhere the libraries of the system may not be forked, or nothing is."""


class Child(Protocol):
    """A process at work."""

    def wait(self, seconds: float) -> int | None:
        """Return the exit status if the process ends within so long; negative is the signal that ended it."""
        ...

    def end(self) -> None:
        """Kill the process if it has not ended, and wait until it has."""
        ...


class Spawned:
    """A command's process."""

    def __init__(self, command: Sequence[str], output: BinaryIO, errors: BinaryIO) -> None:
        self._process = subprocess.Popen(  # noqa: S603  the command is this program's own
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=_variables(),
        )

    def wait(self, seconds: float) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


class Children:
    """What starts a module's children: by a fork where that can be done, which takes a tenth of starting Python anew.

    The module has `prepare(job)`, which loads what a job needs, and `main(job)`, which carries it out and returns the
    exit status; a job is a string. As many servers stay as jobs were ever at work at once, until this process ends.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._idle: list[_Server] = []
        self._lock = threading.Lock()
        atexit.register(self._close)

    def start(self, job: str, output: BinaryIO, errors: BinaryIO) -> Child:
        """Start a job that writes to files; raises OSError where no process can be started."""
        if not CAN_FORK:
            return Spawned([sys.executable, "-P", "-m", self._module, job], output, errors)
        with self._lock:
            server = self._idle.pop() if self._idle else None
        if server is not None:
            with contextlib.suppress(OSError):  # somebody has ended it, and a new one is as good
                return _Forked(server, server.fork(job, output, errors), self._idle)
        server = _Server(self._module)
        return _Forked(server, server.fork(job, output, errors), self._idle)

    def _close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class _Server:
    """A process that forks itself for each job, one at a time. It keeps what it has loaded, and nothing of the jobs."""

    def __init__(self, module: str) -> None:
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  the command is this program's own
                [sys.executable, "-P", "-m", "rag.children.starting", module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=_variables(),
            )

    def fork(self, job: str, output: BinaryIO, errors: BinaryIO) -> int:
        """Start a job and return its process; raises OSError, and is closed then, where it cannot."""
        try:
            files = [output.fileno(), errors.fileno()]
            socket.send_fds(self._connection, [job.encode("utf-8", "surrogateescape")], files)
            if (process_id := self.told(None)) is not None:
                return process_id
            raise ConnectionError("it ended")
        except BaseException:
            self.close()
            raise

    def told(self, seconds: float | None) -> int | None:
        """Return the next number it tells, a job's process or exit status; None if none comes within so long.

        Raises OSError where it has ended.
        """
        self._connection.settimeout(seconds)
        try:
            number = self._connection.recv(MOST_BYTES)
        except (TimeoutError, BlockingIOError):
            return None
        if not number:
            raise ConnectionError("it ended")
        return int(number)

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._process.kill()
        self._process.wait()


class _Forked:
    """A server's child, which gives its server back once it has ended."""

    def __init__(self, server: _Server, process_id: int, idle: list[_Server]) -> None:
        self._server = server
        self._process_id = process_id
        self._idle = idle
        self._status: int | None = None

    def wait(self, seconds: float | None) -> int | None:
        if self._status is None:
            try:
                self._status = self._server.told(seconds)
            except OSError:  # somebody has ended the server, which leaves its child alone
                self._server.close()
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._process_id, signal.SIGKILL)
                self._status = -signal.SIGKILL
                return self._status
            if self._status is not None:
                self._idle.append(self._server)
        return self._status

    def end(self) -> None:
        if self.wait(0) is None:
            # The number is still its own: the server has not told how it ended.
            os.kill(self._process_id, signal.SIGKILL)
            self.wait(None)


def serve(module: ModuleType, connection: socket.socket) -> None:
    """Carry out jobs, each in a fork, as long as somebody is at the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to all; the other end says when it is over
    while True:
        job, files, _, _ = socket.recv_fds(connection, MOST_BYTES, 2)
        if not job:
            return
        text = job.decode("utf-8", "surrogateescape")
        module.prepare(text)
        process_id = os.fork()
        if not process_id:
            connection.close()
            _carry_out(module, text, *files)
        for file in files:
            os.close(file)
        connection.send(str(process_id).encode())
        connection.send(str(os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1])).encode())


def _carry_out(module: ModuleType, job: str, output: int, errors: int) -> NoReturn:
    status = 1
    try:
        os.dup2(output, STDOUT)
        os.dup2(errors, STDERR)
        status = module.main(job)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _variables() -> dict[str, str]:
    """Return a child's variables: it finds the program wherever it is started."""
    return child_environment(PYTHONPATH=os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])))


if __name__ == "__main__":
    with contextlib.suppress(ConnectionError):
        serve(importlib.import_module(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])))
