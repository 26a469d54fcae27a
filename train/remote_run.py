"""A run whose mixture or output lies in a store: it works in folders of this machine, and its output is sent there.

Of several processes each has a folder of its own: the first one's goes to the store, the others begin with what the
store has, so nobody needs a file system that all hosts see.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import jax

from instructor_jax.io.file_lock import only_process
from instructor_jax.io.remote.folders import fetched, told
from instructor_jax.io.remote.runs import Sender, begin_from_store, copy_latest, latest_step
from instructor_jax.io.remote.stores import Store, is_store

from .run.config_check import require_same_facts
from .run.distributed import is_main, wait_for_all
from .run.run_folder import own_copies
from .settings.run_config import RunConfig


@contextlib.contextmanager
def on_this_machine(run: RunConfig) -> Iterator[RunConfig]:
    """Gives a run's settings with folders of this machine for those of a store; what is written goes to the store.

    Everything that was finished is sent before the block is left, however it is left.

    Raises:
        ValueError: Another run of this machine has the output, or processes of this run have another one.
        OSError: The store cannot be read or written.
    """
    if is_store(run.data):
        run = dataclasses.replace(run, data=str(fetched(run.data)))
    if not is_store(run.output):
        yield run
        return
    folder = _folder(run.output)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with only_process(folder.with_suffix(".lock"), f"trains into {run.output}"), contextlib.ExitStack() as at_the_end:
        if is_main():
            at_the_end.callback(_sender(run.output, folder).finish)
        if jax.process_count() > 1:
            _begin_together(run.output, folder)
        yield dataclasses.replace(run, output=str(folder))


def _folder(url: str) -> Path:
    """Returns this process's folder for a run; several processes may be on one machine."""
    name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:24]
    return own_copies() / (name if is_main() else f"{name}-{jax.process_index()}")


def _sender(url: str, folder: Path) -> Sender:
    """Makes the first process's folder what the run goes on from, and begins to send what is written there."""
    with told(url):
        store = Store(url)
        begin_from_store(store, folder)
        sender = Sender(folder, store)
    if jax.process_count() > 1:
        sender.send()  # where an earlier run left a checkpoint here, the others find it in the store
    return sender


def _begin_together(url: str, folder: Path) -> None:
    """Makes the other processes' folders what the first one goes on from.

    Raises:
        ValueError: A process has another output, or goes on from another checkpoint.
        OSError: The store cannot be read.
    """
    wait_for_all("the checkpoint in the store")
    if not is_main():
        with told(url):
            copy_latest(Store(url), folder)
    require_same_facts({"output": url, "the checkpoint that it goes on from": latest_step(folder)})
