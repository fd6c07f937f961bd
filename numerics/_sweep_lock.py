"""One writer per store: a lock that dies with its process and says who holds it."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

_held: set[str] = set()
_guard = threading.Lock()


class SweepError(RuntimeError):
    """A sweep stopped or was refused. The message says why, what is kept, and what to do."""


def command_line() -> str:
    """The command of this process, its program without the folder: a store may move to another machine."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


@contextlib.contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the file `.STORE.tegum-lock` beside the store; SweepError naming the holder if somebody else does.

    The lock is a POSIX record lock: the system releases it when the process ends in any way, kill -9 included, and worker
    processes forked meanwhile do not inherit it (a flock would live on in an orphaned worker). Record locks do not exclude
    threads of one process from each other; the set of held names does.
    """
    import fcntl

    real = store.resolve()  # two names of one store have one lock
    path = real.with_name(f".{real.name}.tegum-lock")  # hidden, and nobody else's name
    name = str(path)
    with _guard:
        # Before the file is opened: closing any handle on it would release the lock of the whole process.
        if name in _held:
            raise SweepError(f"{store} is being written by another sweep of this process; wait for it to end")
        _held.add(name)
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        with _newest(path) as handle:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                holder = handle.read() or "another process"
                raise SweepError(f"{store} is being written by {holder}; wait for it, or stop it") from None
            if not _is_at(handle, path):
                raise SweepError(f"{store} was being written until just now; call sweep again")
            handle.truncate(0)
            since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
            handle.write(f"process {os.getpid()} on {socket.gethostname()} since {since} ({command_line()})")
            handle.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)  # while still held, so that nobody's lock is removed
    finally:
        with _guard:
            _held.discard(name)


def _newest(path: Path) -> TextIO:
    """The lock file open for reading from its start and writing, made if absent."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8")


def _is_at(handle: TextIO, path: Path) -> bool:
    """Whether the open file is still the one at `path`: the last holder may have removed it between open and lock."""
    return path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat())
