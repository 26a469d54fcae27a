"""A run whose mixture or output lies in a store: it works in folders of this machine, and its output is sent there."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator

import jax

from instructor_jax.io.file_lock import only_process
from instructor_jax.io.remote.folders import cache_of_stores, fetched, told
from instructor_jax.io.remote.runs import Sender, begin_from_store
from instructor_jax.io.remote.stores import Store, is_store

from .settings.run_config import RunConfig


@contextlib.contextmanager
def on_this_machine(run: RunConfig) -> Iterator[RunConfig]:
    """Gives a run's settings with folders of this machine for those of a store; what is written goes to the store.

    Everything that was finished is sent before the block is left, however it is left.

    Raises:
        ValueError: Several processes have an output in a store, which only a folder that all of them see can be; or
            another run of this machine has it.
        OSError: The store cannot be read or written.
    """
    if is_store(run.data):
        run = dataclasses.replace(run, data=str(fetched(run.data)))
    if not is_store(run.output):
        yield run
        return
    if jax.process_count() > 1:
        raise ValueError(
            f"output={run.output!r} is for runs of one process; {jax.process_count()} processes need a folder that all "
            "hosts see, such as a mounted bucket. Give its path."
        )
    url = run.output
    folder = cache_of_stores() / "runs" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:24]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with only_process(folder.with_suffix(".lock"), f"trains into {url}"):
        with told(url):
            store = Store(url)
            begin_from_store(store, folder)
            sender = Sender(folder, store)
        try:
            yield dataclasses.replace(run, output=str(folder))
        finally:
            sender.finish()
