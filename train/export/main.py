"""`instructor-jax export RUN [OUTPUT]`: the model of a run's checkpoint as a folder, on any machine."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from instructor_jax.config import parameter_count
from instructor_jax.io.folder_writer import check_target, write_in_pieces
from instructor_jax.io.ownership import same_or_inside
from instructor_jax.io.printable import printable, shown
from instructor_jax.io.remote.folders import joined, written
from instructor_jax.io.remote.runs import fetched_run
from instructor_jax.io.remote.stores import is_store, require_served
from instructor_jax.io.run_checkpoint import Step, open_checkpoint
from instructor_jax.io.run_layout import CHECKPOINTS, MODEL_SETTINGS


def export(
    run: str,
    output: str | None = None,
    /,
    *,
    step: str = "latest",
    dtype: Annotated[Literal["as-trained", "float32", "bfloat16", "float16"], Parameter()] = "as-trained",
) -> None:
    """Write the model of a run's checkpoint as a folder, for this program and sentence-transformers.

    The run need not be finished, and this machine needs no accelerator: the
    weights are read parameter by parameter, without the optimizer's state,
    however many devices saved them, and written as they come.

    For example:

      instructor-jax export runs/modern
      instructor-jax export runs/modern ./best --step best
      instructor-jax export runs/modern ./half --step 4000 --dtype bfloat16
      instructor-jax export s3://bucket/modern s3://bucket/models/modern

    Args:
        run: Folder of the run, as in output= of train, also of a store: s3://bucket/run; or one of its checkpoints.
        output: Folder to write, which must not exist yet, also of a store; by default RUN/model-STEP.
        step: Step of the checkpoint, latest, or best for the one with the greatest held-out accuracy.
        dtype: Floating-point type of the written weights; by default what the run's setting export says.
    """
    import ml_dtypes

    require_served("run", run)
    require_served("output", output or "")
    place = fetched_run(run, _step(step)) if is_store(run) else Path(run)
    checkpoint = open_checkpoint(place, _step(step))
    folder = checkpoint.state.parents[2]
    target = output or joined(run if is_store(run) else str(folder), f"model-{checkpoint.step}")
    kind = checkpoint.dtype if dtype == "as-trained" else dtype
    found = np.dtype(ml_dtypes.bfloat16 if kind == "bfloat16" else kind)
    with written(target) as here:
        check_target(here)
        for claimed in (folder / CHECKPOINTS, folder / MODEL_SETTINGS):
            if any(same_or_inside(parent, claimed) for parent in (here, *here.absolute().parents) if parent.exists()):
                raise ValueError(f"{target} lies in {claimed}, which belongs to the run; name another output.")
        write_in_pieces(here, checkpoint.folder, checkpoint.pieces(), found)
    count = parameter_count(checkpoint.folder.config)
    print(printable(f"step {checkpoint.step:,} of {run} -> {target}: {count / 1e6:.1f} M weights in {kind}"))


def _step(text: str) -> Step:
    if text in ("latest", "best"):
        return text
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise ValueError(f"--step {shown(text)} must be the number of a step, latest or best.")
    return int(text)
