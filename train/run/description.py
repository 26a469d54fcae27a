"""What is about to be trained, in a few lines: of a run that is ready, and of settings alone."""

import jax
from jax.sharding import Mesh

from instructor_jax.config import parameter_count

from ..config import TrainConfig
from ..data.mixture import MixturePlan
from ..own_loss import OwnLoss, loss_name
from ..settings.run_config import RunConfig


def description(
    run: RunConfig, config: TrainConfig, mesh: Mesh, plan: MixturePlan | None = None, loss: OwnLoss | None = None
) -> dict[str, str]:
    """Returns lines by their headings.

    Args:
        run: Settings of the run.
        config: Configuration of what is computed.
        mesh: Mesh of the devices.
        plan: Plan of which examples are in which step; None where that is not known yet.
        loss: Caller's own loss, if there is one.
    """
    sizes = ", ".join(f"{name} {size}" for name, size in mesh.shape.items())
    devices = f"{mesh.size} x {mesh.devices.flat[0].device_kind}, {jax.process_count()} processes ({sizes})"
    start = run.init_from or "random weights"
    model = f"{parameter_count(config.model):,} weights, vectors of {config.model.embedding_dim}, from {start}"
    lines = {"model": model, "devices": devices}
    if plan is not None:
        rows, alone = (sum(getattr(task, name) for task in plan.tasks) for name in ("rows", "alone"))
        lines["mixture"] = f"{rows:,} rows of {len(plan.tasks)} tasks, {alone} of them with steps of their own"
    lines |= {"step": _step(config, plan), "run": _run(config, plan)}
    if loss is not None:
        lines["loss"] = f"{loss_name(loss)}, of your own"
    if run.distill.teacher:
        alone = run.distill.distill_only_steps(config.steps)
        weight = f"whole loss for {alone:,} steps, weight {run.distill.weight:g} at the end"
        lines["teacher"] = f"{run.distill.teacher}, {weight if run.distill.on else 'first embeddings only'}"
    return lines


def shown(lines: dict[str, str]) -> str:
    """Returns the lines as text, headings in a column."""
    return "\n".join(f"{name:8} {text}" for name, text in lines.items())


def _step(config: TrainConfig, plan: MixturePlan | None) -> str:
    group = config.group
    size = f"{config.groups} groups of {group.rows} x {group.length} tokens = {config.groups * group.tokens:,}"
    examples = f"{config.groups * group.examples:,} examples"
    each = f"{group.negatives} negatives each"
    if plan is None:
        return f"{size}; {examples} where all texts have the most tokens they may have, {each}"
    return f"{size}, {plan.expected_fill:.1%} of them real; at most {examples}, {each}"


def _run(config: TrainConfig, plan: MixturePlan | None) -> str:
    tokens = config.steps * config.groups * config.group.tokens / 1e6
    size = f"at most {tokens:,.1f} M tokens" if plan is None else f"{tokens * plan.expected_fill:,.1f} M tokens"
    optimizer = config.optimizer
    return f"{config.steps:,} steps = {size}, {config.dtype}, {optimizer.name} at {optimizer.learning_rate:g}"
