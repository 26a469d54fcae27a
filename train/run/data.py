"""The data of a run, step by step: the mixture, its tokens, and the examples that are trained on and held out."""

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64

from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.remote_places import refuse_remote
from instructor_jax.io.tokenizers.digest import tokenizer_digest
from instructor_jax.io.tokenizers.folders import load_token_ids
from instructor_jax.text.tokenization import Tokenizer

from ..data.decontamination import Decontamination, decontaminate
from ..data.instruction_ablation import WithoutInstructions
from ..data.mixture import hold_out
from ..data.token_cache import META, CacheKey, ExampleSource, Mixture, Reading, TokenCache
from ..data.token_cache_writer import open_token_cache
from ..medi.memory import from_memory
from ..medi.storage.store import MediStore
from ..settings.mixture_config import tasks_of
from ..settings.run_config import RunConfig

logger: logging.Logger = logging.getLogger(__name__)

Rows = Mapping[str, Int64[np.ndarray, "_"]]


@dataclasses.dataclass(frozen=True)
class OpenedData:
    """A mixture that is opened; none of its texts is read yet.

    Attributes:
        mixture: The whole mixture.
        tasks: Names of the tasks that the run takes.
        sources: Mixture as each stage of the run reads it, the last one's last. A run with a distill-only phase reads
            without instructions in it.
    """

    mixture: Mixture
    tasks: tuple[str, ...]
    sources: tuple[ExampleSource, ...]


@dataclasses.dataclass(frozen=True)
class ChosenExamples:
    """Numbers of the examples that a run takes, by task.

    Attributes:
        kept: Numbers of the examples that are trained on.
        held: Numbers of the examples that are measured on; only tasks that have any.
        avoided: Result of a comparison with evaluation data; None where none was asked for.
    """

    kept: Rows
    held: Rows
    avoided: Decontamination | None


def open_data(run: RunConfig, examples: Any = None) -> OpenedData:
    """Opens the mixture of a run and chooses its tasks.

    Args:
        run: Settings of the run.
        examples: Examples in memory, which take the place of `run.data`.

    Raises:
        ValueError: Neither or both of them are given, or no task is left.
        FileNotFoundError: There is no mixture in `run.data`.
    """
    if examples is not None and run.data:
        raise ValueError(f"data={run.data!r} and examples are given; drop one of them.")
    if examples is None and not run.data:
        raise ValueError(
            "set data=FOLDER, a mixture of 'instructor-jax medi', or give train(config, examples=...) rows from memory."
        )
    refuse_remote("data", run.data)  # `remote_run.on_this_machine` comes before
    mixture: Mixture = MediStore(run.data) if examples is None else from_memory(examples)
    tasks = tasks_of(mixture, run.mixture)
    ablated = WithoutInstructions(mixture)
    last: ExampleSource = mixture if run.mixture.instructions else ablated
    return OpenedData(mixture, tasks, (ablated, last) if no_instruction_steps(run) else (last,))


def no_instruction_steps(run: RunConfig) -> int:
    """Returns the steps of a first stage in which texts are read without their instructions."""
    if not (run.distill.on and run.distill.no_instruction and run.mixture.instructions):
        return 0
    return run.distill.distill_only_steps(run.steps)


def read_texts(run: RunConfig, data: OpenedData, folder: ModelFolder) -> list[Reading]:
    """Tokenises the mixture for the model, for each stage of the run; finds the tokens where that was done before."""
    return [Reading(source, _tokens(run, source, folder)) for source in data.sources]


def tokens_at_hand(run: RunConfig, data: OpenedData, folder: ModelFolder) -> list[Reading] | None:
    """Returns the same where the mixture was tokenised before, and writes nothing; None where it was not."""
    found = []
    for source in data.sources:
        model = folder.config
        key = CacheKey(source.fingerprint, tokenizer_digest(folder.path), model.max_length, model.pool_instruction)
        place = run.made_of_data("tokens") / key.name
        if not (place / META).is_file():
            return None
        found.append(Reading(source, TokenCache(place)))
    return found


def choose_examples(
    run: RunConfig, data: OpenedData, reading: Reading, avoid: Iterable[tuple[str, str]] | None = None
) -> ChosenExamples:
    """Holds examples out, and leaves out those that have a text of evaluation data.

    Args:
        run: Settings of the run.
        data: Mixture and its tasks.
        reading: Mixture with its tokens.
        avoid: (evaluation set, text) pairs.
    """
    return _without_avoided(hold_out_rows(run, data, reading.cache.tasks), reading, avoid)


def hold_out_rows(run: RunConfig, data: OpenedData, rows: Mapping[str, range]) -> ChosenExamples:
    """Holds examples of every task out of its `rows`."""
    parts = {task: hold_out(rows[task], run.held_out.rows, task) for task in data.tasks}
    kept = {task: one for task, (one, _) in parts.items()}
    return ChosenExamples(kept, {task: held for task, (_, held) in parts.items() if len(held)}, None)


def _without_avoided(
    chosen: ChosenExamples, reading: Reading, avoid: Iterable[tuple[str, str]] | None
) -> ChosenExamples:
    if avoid is None:
        return chosen
    return ChosenExamples(*decontaminate(reading.source, reading.cache, avoid, chosen.kept, chosen.held))


def _tokens(run: RunConfig, source: ExampleSource, folder: ModelFolder) -> TokenCache:
    model = folder.config
    tokenizer = Tokenizer(
        load_token_ids(folder.path),
        model.max_length,
        pool_instruction=model.pool_instruction,
        vocab=model.encoder.vocab,
    )
    return open_token_cache(
        source, tokenizer, tokenizer_digest(folder.path), run.made_of_data("tokens"), model.encoder.vocab
    )
