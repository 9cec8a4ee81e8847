"""Tasks for any `concurrent.futures.Executor`: threads, processes, a cluster.

Only `submit` and `as_completed` are used; making and shutting down executors is the caller's. What
tasks need is taken from this process where they run in it. Otherwise a task comes back undone; it
is then told of a file, which holds the parcel for processes on this machine, and where that file is
unknown the parcel is sent along. A worker opens it once and keeps what was in it until the next
run, so the model is not sent with every task.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gexcore.errors import GexError, InvalidModelError, WorkerLostError

Result = TypeVar("Result")
Task = Callable[[int], Any]

# what the tasks of this process call; by process, since a forked one must not use what it inherited
_OWN: dict[tuple[int, str], Task] = {}
_OPENED: dict[tuple[int, str], Task] = {}
_LOCK = threading.Lock()

LOST = ("KilledWorker", "TerminatedWorkerError")
"""Names of the errors of executors whose worker died, beside `BrokenExecutor`."""


class Ticket(NamedTuple):
    """Where a task finds the parcel.

    Parameters
    ----------
    run : str
        A name of this run alone.
    path, digest : str
        A file on this machine, and its SHA-256.
    content : bytes
        The parcel itself.
    """

    run: str
    path: str = ""
    digest: str = ""
    content: bytes = b""


def completed(
    executor: Executor,
    here: Callable[[int], Result],
    elsewhere: Callable[[], Task] | None,
    numbers: Iterable[int],
) -> Iterator[Result]:
    """What the task gives for each of the numbers, in the order of completion.

    Parameters
    ----------
    here : callable
        The task, for executors that work in this process.
    elsewhere : callable or None
        Makes the task in another process; None where nothing can.
    numbers : iterable of int

    Raises
    ------
    InvalidModelError
        Where tasks run in other processes and `elsewhere` cannot be sent there.
    WorkerLostError
        Where a worker died and the executor did not replace it.
    """
    run = uuid.uuid4().hex
    own = os.getpid(), run
    _OWN[own] = here
    tickets = [Ticket(run)]
    waiting: dict[Future[Any], tuple[int, int]] = {}
    with tempfile.TemporaryDirectory(prefix="gexcore-") as folder:
        try:
            waiting = {
                executor.submit(perform, tickets[0], number): (number, 0) for number in numbers
            }
            while waiting:
                sent_again: dict[Future[Any], tuple[int, int]] = {}
                for future in as_completed(waiting):
                    found, (number, tried) = _result(future), waiting[future]
                    if found is not None:
                        yield found[0]
                        continue
                    if len(tickets) == 1:
                        tickets += _parcels(run, Path(folder) / "parcel", elsewhere)
                    again = executor.submit(perform, tickets[tried + 1], number)
                    sent_again[again] = (number, tried + 1)
                waiting = sent_again
        finally:
            del _OWN[own]
            for future in waiting:
                future.cancel()


def perform(ticket: Ticket, number: int) -> tuple[Any] | None:
    """One task, in a worker: its result in a tuple, or None where the parcel is not at hand."""
    key = os.getpid(), ticket.run
    own = _OWN.get(key)
    if own is not None:
        return (own(number),)
    with _LOCK:
        task = _OPENED.get(key)
        if task is None:
            content = ticket.content or _read(ticket)
            if not content:
                return None
            _OPENED.clear()
            task = _OPENED[key] = _unpacked(content)
    return (task(number),)


def _parcels(run: str, path: Path, elsewhere: Callable[[], Task] | None) -> tuple[Ticket, Ticket]:
    if elsewhere is None:
        raise InvalidModelError(
            "what was opened by hand cannot be sent to another process; use an executor of threads"
        )
    content = _packed(elsewhere)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return Ticket(run, str(path), digest), Ticket(run, content=content)


def _packed(elsewhere: Callable[[], Task]) -> bytes:
    try:
        # knows functions of a script or notebook; comes with Dask and loky
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        content: bytes = pickler.dumps(elsewhere)
    except Exception as error:
        told = (str(error).splitlines() or [""])[0]
        msg = (
            "the model, data or settings cannot be sent to another process "
            f"({type(error).__name__}: {told}); give "
            "gexcore.Factory(function) for what cannot be pickled, with a function that "
            "makes it there, or use threads"
        )
        raise InvalidModelError(msg) from error
    return content


def _read(ticket: Ticket) -> bytes:
    if not ticket.path:
        return b""
    try:
        content = Path(ticket.path).read_bytes()
    except OSError:
        return b""
    # what is not what was sent is never unpickled
    return content if hashlib.sha256(content).hexdigest() == ticket.digest else b""


def _unpacked(content: bytes) -> Task:
    try:
        elsewhere: Callable[[], Task] = pickle.loads(content)
    except Exception as error:
        told = (str(error).splitlines() or [""])[0]
        msg = (
            f"a worker cannot read the model or data ({type(error).__name__}: {told}); "
            "define their classes and functions "
            "in a module that workers can import, or install cloudpickle"
        )
        raise InvalidModelError(msg) from error
    return elsewhere()


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except GexError:
        raise
    except Exception as error:
        if isinstance(error, BrokenExecutor) or type(error).__name__ in LOST:
            msg = (
                f"a worker died, killed or out of memory ({type(error).__name__}); run again "
                "with a new executor, of fewer "
                "workers if memory was short: with store= only the chains that were not "
                "complete are run"
            )
            raise WorkerLostError(msg) from error
        raise
