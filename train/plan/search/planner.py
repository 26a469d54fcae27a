"""What plans the training step of a run, one configuration after another, as a search asks for them."""

from collections.abc import Callable

from instructor_jax.progress import Progress

from ...config import TrainConfig
from ...own_loss import OwnLoss
from ...settings.run_config import RunConfig
from ..record import Plan


def planner(
    run: RunConfig, topology: str, fill: float, loss: OwnLoss | None, bar: Progress
) -> Callable[[TrainConfig], Plan]:
    """Returns what plans a step as the run would compile it, with its compiler's flags.

    Args:
        run: Settings of the run.
        topology: Name of the devices.
        fill: Fraction of the tokens that are no padding, 0 to 1.
        loss: Loss in the place of the configured one.
        bar: Progress, in plans.
    """
    from ..plan import plan_step

    def planned(config: TrainConfig) -> Plan:
        bar.set_postfix_str(f"gradient_cache_chunks={config.gradient_cache_chunks} remat={config.remat}")
        made = plan_step(config, topology, fill, loss, run.compiler.options())
        bar.update()
        return made

    return planned
