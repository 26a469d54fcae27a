"""A state that lies in parts on the devices of several hosts, whole in the memory of the first process.

Processes that see one folder each write their own parts of a checkpoint. Where every process has a folder of its own,
as for a run that goes to a store, the first one writes all of it, and this is how it gets it.
"""

from collections.abc import Mapping

import jax
import numpy as np

from .sharded_pieces import layer_on, on_host, whole_on

_STACKED = 3  # axes, from which on an array is one of all layers


def whole_state(arrays: Mapping[str, jax.Array], mesh: jax.sharding.Mesh) -> dict[str, np.ndarray] | None:
    """Returns the arrays on the first process, and None on the others; every process must call it, in step.

    A device holds one layer of one array besides its own part, the first host all arrays.

    Args:
        arrays: Arrays on the mesh, by name.
        mesh: Mesh of all devices of all processes.
    """
    found: dict[str, np.ndarray] = {}
    first = jax.process_index() == 0
    for name, array in arrays.items():
        if array.ndim < _STACKED:
            whole = on_host(whole_on(mesh)(array))
            if first:
                found[name] = np.array(whole)
            continue
        if first:
            found[name] = np.empty(array.shape, array.dtype)
        for layer in range(array.shape[0]):
            # every process waits for it: exchanges that overtake one another would never meet
            piece = on_host(layer_on(mesh)(array, layer))
            if first:
                found[name][layer] = piece
    return found if first else None
