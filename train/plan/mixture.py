"""What a mixture's lengths make of a plan: the shape of its groups, and how many of their tokens are real.

The mixture is opened as for a run: tokenised once, cached beside the data, its groups packed. Nothing is trained.
"""

import dataclasses

import jax

from instructor_jax.sharding import MeshShape, make_mesh

from ..config import TrainConfig
from ..run.preparation import prepare
from ..settings.run_config import RunConfig
from .settings import local_model


def config_and_fill(run: RunConfig) -> tuple[TrainConfig, float]:
    """Returns what a run's step computes, and the fraction of its tokens that are no padding, 0 to 1.

    Args:
        run: Settings of the run; `data` is a mixture, and a tokenizer is at hand (`init_from` or `tokenizer`).

    Raises:
        ValueError: There is no tokenizer, or something of the run does not fit.
    """
    if not (run.init_from or run.tokenizer):
        raise ValueError(
            f"data={run.data!r} can be measured with a tokenizer only: give init_from=FOLDER or tokenizer=FOLDER, "
            "or leave data away to plan for texts of full length."
        )
    opened = dataclasses.replace(
        run,
        output=run.output or "planned",  # nothing is written there
        init_from=str(local_model(run.init_from)) if run.init_from else "",
        mesh=MeshShape(),
        mixture=dataclasses.replace(run.mixture, avoid=()),  # few rows, and hours to find them
    )
    one = make_mesh(MeshShape(), jax.devices("cpu")[:1])
    prepared = prepare(opened, one, with_teacher=False)
    return dataclasses.replace(prepared.config, mesh=run.mesh), float(prepared.batches.plan.expected_fill)
