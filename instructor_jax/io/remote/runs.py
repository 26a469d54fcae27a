"""The folder of a training run in a store: its whole checkpoints, and a folder of this machine that goes there.

A run works in a folder of this machine. What it finishes there, checkpoints first of all, is sent by a thread; what it
removes is removed. A run that goes on takes what is whole in the store; where this machine has a later checkpoint that
could not be sent, it goes on from that one.
"""

import contextlib
import logging
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from instructor_jax.io.remote.folders import MARK, download, fetched, joined, remove, told, upload
from instructor_jax.io.remote.stores import Store
from instructor_jax.io.run_layout import CHECKPOINTS, MODEL

logger: logging.Logger = logging.getLogger(__name__)

_STEP = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)
_LOCAL = re.compile(r".*\.lock|\..*")  # locks, and what is being written
_SECONDS = 1.0  # between two looks at the run's folder


def whole_steps(store: Store) -> list[int]:
    """Returns the steps of a run's checkpoints that are whole."""
    return _whole_steps(store.files())


def _whole_steps(listed: Iterable[str]) -> list[int]:
    files: dict[str, list[str]] = {}
    for name in listed:
        parts = name.split("/")
        if len(parts) > 2 and parts[0] == CHECKPOINTS and _STEP.fullmatch(parts[1]):
            files.setdefault(parts[1], []).append("/".join(parts[2:]))
    return sorted(int(step) for step, names in files.items() if MARK not in names)


def fetched_run(url: str, step: int | str) -> Path:
    """Returns a copy on this machine of what a checkpoint of a run needs to be read.

    Args:
        url: Folder of the run.
        step: Step of the checkpoint, "latest", or "best", for which all whole ones are fetched.

    Raises:
        ValueError: There is no such run, or no whole checkpoint of that step.
        OSError: The store cannot be read.
    """
    with told(url):
        steps = whole_steps(Store(url))
    if not steps:
        raise ValueError(f"{url} is no folder of a training run: it has no {CHECKPOINTS} with a finished checkpoint.")
    if isinstance(step, int) and step not in steps:
        raise ValueError(f"{url} has no checkpoint of step {step}; there are {', '.join(map(str, steps[-10:]))}.")
    needed = {str(one) for one in (steps if step == "best" else steps[-1:] if step == "latest" else [step])}

    def wanted(name: str) -> bool:
        first, _, rest = name.partition("/")
        return rest.partition("/")[0] in needed if first == CHECKPOINTS else first == "model_settings"

    return fetched(url, wanted)


def begin_from_store(store: Store, folder: Path) -> None:
    """Makes a run's folder of this machine what the store has of the run; unfinished checkpoints are removed there.

    Raises:
        OSError: The store cannot be read.
    """
    files = store.files()
    steps = _whole_steps(files)
    local = _local_steps(folder)
    unfinished = {name.rpartition("/")[0] for name in files if name.rpartition("/")[2] == MARK}
    for place in unfinished:
        if place.startswith(f"{CHECKPOINTS}/"):
            remove(Store(joined(store.url, place)))
    if files and local and max(local) > max(steps, default=-1):
        logger.warning("going on from step %d of %s, which was not sent to the store", max(local), folder)
        return
    _fill(folder, store, files, lambda name: not any(name.startswith(f"{place}/") for place in unfinished))


def _fill(folder: Path, store: Store, files: Mapping[str, tuple[int, str]], wanted: Callable[[str], bool]) -> None:
    """Makes a folder of this machine what is wanted of a store's files, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, (size, _) in files.items():
        if wanted(name):
            download(store, name, folder / name, size)


def copy_latest(store: Store, folder: Path) -> None:
    """Makes a folder of this machine what a process needs to go on with others: the latest checkpoint, no model.

    Raises:
        OSError: The store cannot be read.
    """
    files = store.files()
    left_out = {str(step) for step in _whole_steps(files)[:-1]}

    def wanted(name: str) -> bool:
        first, _, rest = name.partition("/")
        return first != MODEL and not (first == CHECKPOINTS and rest.partition("/")[0] in left_out)

    _fill(folder, store, files, wanted)


def latest_step(folder: Path) -> int | None:
    """Returns the latest step that a run's folder of this machine has a checkpoint of."""
    return max(_local_steps(folder), default=None)


class Sender:
    """Sends a run's folder to a store while the run goes on."""

    def __init__(self, folder: Path, store: Store) -> None:
        """
        Args:
            folder: Folder of this machine that the run works in.
            store: Folder of the run in the store.
        """
        self._folder, self._store = folder, store
        self._sent: set[int] = set(whole_steps(store))
        self._begun = set(self._sent)  # those of which something may be there
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="sender", daemon=True)
        self._thread.start()

    def send(self) -> None:
        """Sends now what is finished.

        Raises:
            OSError: It cannot be sent.
        """
        with told(self._store.url):
            self._send(everything=False)

    def finish(self) -> None:
        """Sends what is left and ends.

        Raises:
            OSError: It cannot be sent; it stays in the folder.
        """
        self._stop.set()
        self._thread.join()
        try:
            with told(self._store.url):
                self._send(everything=True)
        except OSError as error:
            raise OSError(f"{error} The run lies in {self._folder}, and the same command here sends it.") from error

    def _watch(self) -> None:
        while not self._stop.wait(_SECONDS):
            try:
                self.send()
            except (OSError, ValueError) as error:  # it is tried again, and told in the end if it stays so
                logger.warning("%s It will be tried again.", error)

    def _send(self, everything: bool) -> None:
        """Sends checkpoints that are finished and were not sent, the other files before them, and removes old ones."""
        with self._lock:
            steps = _local_steps(self._folder)
            new = sorted(steps - self._sent)
            if new or everything:
                self._send_others()
            for step in new:
                self._begun.add(step)
                with contextlib.suppress(FileNotFoundError):  # the run removes it meanwhile, or it is tried again
                    upload(self._folder / CHECKPOINTS / str(step), self._checkpoint(step))
                    self._sent.add(step)
            for step in sorted(self._begun - _local_steps(self._folder)):
                remove(self._checkpoint(step))
                self._begun.discard(step)
                self._sent.discard(step)

    def _checkpoint(self, step: int) -> Store:
        return Store(joined(self._store.url, f"{CHECKPOINTS}/{step}"))

    def _send_others(self) -> None:
        there = self._store.files()
        for path in sorted(self._folder.rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            first = name.partition("/")[0]
            if path.is_file() and first not in (CHECKPOINTS, MODEL) and not any(
                _LOCAL.fullmatch(part) for part in name.split("/")
            ):  # fmt: skip
                self._store.fs.put_file(str(path), self._store.path(name))
        model = self._folder / MODEL
        sent = {name: about for name, about in there.items() if name.startswith(f"{MODEL}/")}
        if model.is_dir() and (not sent or f"{MODEL}/{MARK}" in sent):
            upload(model, Store(joined(self._store.url, MODEL)))


def _local_steps(folder: Path) -> set[int]:
    checkpoints = folder / CHECKPOINTS
    if not checkpoints.is_dir():
        return set()
    return {int(one.name) for one in checkpoints.iterdir() if _STEP.fullmatch(one.name) and (one / "state").is_dir()}
