"""The folder of a run: what in it is ours, and that only one run works in it.

A run goes on in the folder that it began in, so its files are there already. Everything that it would write, replace or
go on from must be of its own making; what else lies in the folder (a log, notes) is left alone.
"""

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np

from instructor_jax.io.file_lock import only_process
from instructor_jax.io.own_folder import OWN_CONFIG
from instructor_jax.io.remote.folders import cache_of_stores
from instructor_jax.io.run_layout import CHECKPOINTS as CHECKPOINTS  # where a run's results lie: one place to ask
from instructor_jax.io.run_layout import MODEL as MODEL
from instructor_jax.io.run_layout import MODEL_SETTINGS as MODEL_SETTINGS
from instructor_jax.io.run_layout import TOKENIZER as TOKENIZER
from instructor_jax.pages.own_pages import is_our_page

from ..distill.output_names import AXES, START
from ..watch.wandb_board import RUN_ID
from .distributed import is_main
from .metrics_file import FILE, read_lines
from .report import REPORT

LOCK = "train.lock"
PROFILE = "profile"  # folder of traces
HLO = "hlo"  # folder of the dumped programs
_SEEN = ".seen_by_all."  # of a file that is there for a moment
_SEEN_SECONDS = 20.0  # network file systems tell of a file after a while
_CHECKPOINT = re.compile(r"\d+|\d+\.orbax-checkpoint-tmp.*|.*\.orbax.*|descriptor")


def check_output(folder: Path, data: Path) -> None:
    """Refuses a folder in which a run would replace somebody else's files or take them for its own; before any work.

    Raises:
        ValueError: So it is, or the run's mixture lies in it; says what to move away.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ValueError(f"output={folder} is no folder; name another one.")
    if data.is_dir() and folder.resolve() == data.resolve():
        raise ValueError(f"output={folder} is the mixture itself; name another folder.")
    for name, ours, what in _CLAIMED:
        path = folder / name
        if os.path.lexists(path) and not ours(path):
            raise ValueError(
                f"output={folder} holds {name!r}, which is not {what}; it would be lost or taken for the run's own. "
                "Name another folder, or move it away."
            )


def own_copies() -> Path:
    """Returns the folder of this machine for runs that go to a store."""
    return cache_of_stores() / "runs"


def is_own_copy(folder: str | Path) -> bool:
    """Returns whether each of several processes has a folder of its own, since the run goes to a store."""
    return jax.process_count() > 1 and Path(folder).absolute().parent == own_copies()


def require_seen_by_all(folder: Path) -> None:
    """Checks that all processes of a run see one folder, but where each has its own: they write parts of a checkpoint.

    On disks of their own the parts would never come together, and nobody would notice before the run is to go on.

    Raises:
        ValueError: A process does not see what the first one writes; the same on every process.
    """
    if jax.process_count() == 1 or is_own_copy(folder):
        return
    from jax.experimental.multihost_utils import broadcast_one_to_all, process_allgather

    number = np.asarray(secrets.randbits(31) if is_main() else 0, np.int32)
    file = folder / f"{_SEEN}{number}"
    if is_main():
        folder.mkdir(parents=True, exist_ok=True)
        file.touch()
    try:
        file = folder / f"{_SEEN}{int(broadcast_one_to_all(number))}"
        seen = np.asarray(process_allgather(np.asarray(_appears(file)))).reshape(-1)
    finally:
        if is_main():
            file.unlink(missing_ok=True)
    if not seen.all():
        raise ValueError(
            f"output={folder} is not one folder for all processes: process {int(np.argmin(seen))} does not see what "
            "process 0 writes there. Give a path that all hosts mount, or the URL of a store, output=gs://bucket/run."
        )


def _appears(file: Path) -> bool:
    ends = time.monotonic() + _SEEN_SECONDS
    while not (seen := file.is_file()) and time.monotonic() < ends:
        time.sleep(0.1)
    return seen


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps other runs out of the folder.

    Raises:
        ValueError: Another run is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with only_process(folder / LOCK, f"trains into {folder}"):
        yield


def _is_metrics(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            first = file.read(1 << 16).partition(b"\n")
        return not first[0] or not first[1] or bool(read_lines(path))
    except ValueError:
        return first[0].startswith(b'{"step": ')  # a damaged line further down is told when it is read


def _is_checkpoints(path: Path) -> bool:
    return path.is_dir() and all(_CHECKPOINT.fullmatch(one.name) for one in path.iterdir())


def _is_model(path: Path) -> bool:
    return path.is_dir() and (path / "modules.json").is_file()


def _is_model_settings(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and (path / OWN_CONFIG).is_file()


def _is_tokenizer(path: Path) -> bool:
    return path.is_dir() and (path / "tokenizer.json").is_file() and (path / "spiece.model").is_file()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


_CLAIMED: tuple[tuple[str, Callable[[Path], bool], str], ...] = (
    (CHECKPOINTS, _is_checkpoints, "a folder of checkpoints"),
    (FILE, _is_metrics, "a run's metrics"),
    (REPORT, is_our_page, "a run's report"),
    (MODEL, _is_model, "a model's folder"),
    (MODEL_SETTINGS, _is_model_settings, "what a run notes of its model"),
    (START, _is_model, "a model's folder"),
    (TOKENIZER, _is_tokenizer, "a tokenizer that a run made"),
    (AXES, _is_file, "a run's file"),
    ("tensorboard", Path.is_dir, "a folder of TensorBoard files"),
    (RUN_ID, _is_file, "a run's file"),
    (LOCK, _is_file, "a run's lock"),
)
