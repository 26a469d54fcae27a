"""`train`: a whole run in one call, from settings to the trained model's folder; what the command `train` does.

Everything that a run may be given beside its settings is an argument here: examples from memory, a loss, a function
that hears of every line of metrics, an evaluation.
"""

from typing import Any

from .main_evaluation import decontamination_texts, evaluation
from .own_loss import OwnLoss
from .remote_run import on_this_machine
from .run.loop import Evaluate, Outcome
from .run.loop import train as run_steps
from .run.metrics_logger import OnMetrics
from .run.preemption import StopRequest
from .run.preparation import prepare
from .settings.run_config import RunConfig


def train(
    config: RunConfig,
    *,
    examples: Any = None,
    loss: OwnLoss | None = None,
    on_metrics: OnMetrics | None = None,
    evaluate: Evaluate | None = None,
    stop: StopRequest | None = None,
) -> Outcome:
    """Trains until all steps are made, from the latest checkpoint in `config.output` if there is one.

    Args:
        config: Settings, e.g. those of a recipe with some fields replaced; `output` must be set, and `data` too unless
            there are `examples`.
        examples: Examples in memory, in the place of `config.data`: a list of `Example` or of dicts, a Hugging Face
            dataset, anything with a length that gives such rows, or what `from_memory` makes of them.
        loss: Function from `LossInputs` to one number per row, in the place of the configured loss.
        on_metrics: Function that is called on process 0 with the step and a dict of figures for every line of
            metrics.jsonl. A run that goes on from a checkpoint tells the steps after it again.
        evaluate: Function that is called on every process with the parameters as they lie on the mesh, split over the
            devices, every `config.evaluation.every` steps; by default it measures the evaluation tasks that the
            settings name. `Instructor(folder, params, mesh=mesh)` computes with them where they are; they are gone
            after the next step.
        stop: Request that is looked at after every step; a requested stop saves and returns.

    Returns:
        The outcome says how far the run came and where the model lies, on this machine also where `config.output` is
        in a store.

    Raises:
        ValueError: Something does not fit; says what, and what to change.
        FileNotFoundError: There is no mixture in `config.data`.
        FloatingPointError: A loss is not finite.
    """
    with on_this_machine(config) as run:
        prepared = prepare(run, avoid=decontamination_texts(run), loss=loss, examples=examples)
        return run_steps(prepared, stop, evaluate or evaluation(prepared), on_metrics)
