"""From the plan to the devices: batches of coming steps are built ahead, by threads or worker processes, with Grain.

The only state is the step number. Batches come in order and are the same for any number of workers, because a worker
is told a step and builds it from the plan alone; so a checkpoint holds a number, and training may resume with other
workers, hosts or devices.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Int64

from instructor_jax.sharding import data_shards, named_sharding

from .batch_builder import HostBatch
from .batches import PairBatch


def local_groups(mesh: Mesh, groups: int) -> Int64[np.ndarray, "local"]:
    """Returns the groups of a batch that devices of this host hold, ascending.

    Raises:
        ValueError: The groups cannot be divided evenly among the mesh's data shards.
    """
    shards = data_shards(mesh)
    if groups % shards:
        raise ValueError(f"groups={groups} must be a multiple of the mesh's {shards} data shards.")
    indices = named_sharding(mesh, "batch").addressable_devices_indices_map((groups,)).values()
    return np.unique(np.concatenate([np.arange(groups)[index] for index in indices if index is not None]))


def to_devices(batch: PairBatch, mesh: Mesh, groups: int) -> PairBatch:
    """Places the global batch on the mesh, from the groups that this host built.

    Args:
        batch: NumPy arrays of `local_groups(mesh, groups)`, in that order.
        mesh: Mesh of the devices of all hosts.
        groups: Number of groups of the global batch.
    """
    local = local_groups(mesh, groups)
    sharding = named_sharding(mesh, "batch")

    def place(array: np.ndarray) -> jax.Array:
        def part(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None  # this host's devices only
            first, end, _ = index[0].indices(groups)
            start = int(np.searchsorted(local, first))  # a device's groups are successive, here as there
            return array[start : start + end - first]

        return jax.make_array_from_callback((groups, *array.shape[1:]), sharding, part)

    return jax.tree.map(place, batch)


class _Steps:
    """The numbers of all steps, as Grain's random-access source."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, step: int) -> int:
        return int(step)


@contextlib.contextmanager
def host_batches(
    builder: Callable[[int], HostBatch], steps: int, start: int = 0, workers: int = 0, prefetch: int = 2
) -> Iterator[Iterator[HostBatch]]:
    """Yields an iterator over this host's batches of the steps `start` to `steps` - 1, built before they are needed.

    Args:
        builder: Function that builds a step's batch; it is pickled where there are workers.
        steps: Number of steps of the whole run.
        start: First step; resuming needs nothing else.
        workers: Number of processes that build; 0 builds in a thread of this process.
        prefetch: Number of batches that each worker, or the thread, has ready.

    Raises:
        ValueError: A number is out of range.
        ImportError: Grain is absent.
    """
    if not 0 <= start <= steps or workers < 0 or prefetch < 1:
        raise ValueError(
            f"start={start} must be in [0, steps={steps}], workers={workers} >= 0 and prefetch={prefetch} >= 1."
        )
    if start == steps:  # Grain refuses an empty source
        yield iter(())
        return
    grain = _grain()
    numbers = grain.MapDataset.source(_Steps(steps))[start:]
    # Grain would read 500 elements ahead, and an element here is a whole batch
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1 if workers else prefetch)
    batches = numbers.map(builder).to_iter_dataset(options)
    if workers:
        batches = batches.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=prefetch)
        )
    iterator = iter(batches)
    try:
        yield iterator
    finally:
        iterator.close()


def _grain() -> Any:
    try:
        import grain
        from absl import flags
    except ImportError as error:
        raise ImportError(f"The input pipeline needs Grain: pip install 'instructor-jax[train]' ({error}).") from error
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # Grain's workers read absl's flags, which only absl's own main function parses
    return grain
