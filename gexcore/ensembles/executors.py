"""Tasks for any `concurrent.futures.Executor`: threads, processes, a cluster.

Only `submit` and `as_completed` are used. The caller makes and shuts down the executor. A task in
this process uses the inputs of this process. A task in another process needs a parcel with the
inputs. Its first attempt returns undone. The second attempt names a file with the parcel, for
processes on this machine. The third attempt carries the parcel itself. A worker opens the parcel
once and keeps it until the next run. So the model is not sent with every task.
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

# the tasks of each process, by process id: a forked process must not use inherited tasks
_OWN: dict[tuple[int, str], Task] = {}
_OPENED: dict[tuple[int, str], Task] = {}
_LOCK = threading.Lock()

LOST = ("KilledWorker", "TerminatedWorkerError")
"""Names of errors that mean a dead worker, in addition to `BrokenExecutor`."""


class Ticket(NamedTuple):
    """The place of the parcel of a run.

    Parameters
    ----------
    run : str
        A unique name of the run.
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
    """The results of the task for each number, in the order of completion.

    Parameters
    ----------
    here : callable
        The task, for executors that work in this process.
    elsewhere : callable or None
        Makes the task in another process. None if that is impossible.
    numbers : iterable of int

    Raises
    ------
    InvalidModelError
        If tasks run in other processes and `elsewhere` cannot be sent there.
    WorkerLostError
        If a worker died and the executor did not replace it.
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
    """Run one task in a worker: its result in a tuple, or None without a parcel."""
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
        # it pickles functions of a script or notebook; Dask and loky bring it along
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        content: bytes = pickler.dumps(elsewhere)
    except Exception as error:
        told = (str(error).splitlines() or [""])[0]
        msg = (
            "the model, data or settings cannot be sent to another process "
            f"({type(error).__name__}: {told}); give gexcore.Factory(function) for what cannot be "
            "pickled, with a function that makes it there, or use threads"
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
    # content with another digest is never unpickled
    return content if hashlib.sha256(content).hexdigest() == ticket.digest else b""


def _unpacked(content: bytes) -> Task:
    try:
        elsewhere: Callable[[], Task] = pickle.loads(content)
    except Exception as error:
        told = (str(error).splitlines() or [""])[0]
        msg = (
            f"a worker cannot read the model or data ({type(error).__name__}: {told}); define "
            "their classes and functions in a module that workers can import, or install "
            "cloudpickle"
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
                f"a worker died, killed or out of memory ({type(error).__name__}); run again with "
                "a new executor, of fewer workers if memory was short: with store= only the chains "
                "that were not complete are run"
            )
            raise WorkerLostError(msg) from error
        raise
