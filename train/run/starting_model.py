"""What a run starts from: the shape of its model, known at once, and its tokenizer, which may have to be made."""

import dataclasses
import logging
from pathlib import Path

from instructor_jax.config import ModelConfig
from instructor_jax.io.file_lock import one_process
from instructor_jax.io.folders import read_folder
from instructor_jax.io.hub import resolve_model
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.run_layout import TOKENIZER
from instructor_jax.io.tokenizers.folders import vocabulary_size

from ..data.token_cache import ExampleSource
from ..data.vocabulary import train_vocabulary
from ..settings.run_config import RunConfig
from .train_config import trained_model

logger: logging.Logger = logging.getLogger(__name__)


def starting_folder(run: RunConfig) -> ModelFolder | None:
    """Returns the folder of `run.init_from`, opened; None for random weights.

    Raises:
        ValueError: It is no model that can be trained.
        OSError: The hub cannot be reached, or does not have it.
    """
    if not run.init_from:
        return None
    folder = read_folder(resolve_model(run.init_from))
    if not folder.config.normalize:
        logger.warning("%s does not normalise its vectors; the trained model will", run.init_from)
    return folder


def model_folder(run: RunConfig, started: ModelFolder | None, source: ExampleSource) -> ModelFolder:
    """Returns shape and tokenizer of the model: those of `run.init_from`, or of random weights with an own vocabulary.

    Args:
        run: Settings of the run.
        started: Result of `starting_folder(run)`.
        source: Texts that a vocabulary is trained on, where there is none yet.

    Raises:
        ValueError: The tokenizer has more pieces than the model.
    """
    folder = _random(run, source) if started is None else started
    return dataclasses.replace(folder, config=trained_model(run, folder.config))


def folder_at_hand(run: RunConfig) -> ModelFolder | None:
    """Returns the same where model and tokenizer are on this machine already, and writes nothing.

    None where they are not.

    Raises:
        ValueError: The tokenizer has more pieces than the model, or the folder is no model that can be trained.
    """
    if run.init_from:
        try:
            folder = read_folder(resolve_model(run.init_from, local_files_only=True))
        except (ValueError, OSError):
            if Path(run.init_from).is_dir():
                raise
            return None
    else:
        path = _tokenizer(run)
        if not (run.tokenizer or run.output) or not path.is_dir():
            return None
        folder = ModelFolder(path, fitted(run, run.model, path))
    return dataclasses.replace(folder, config=trained_model(run, folder.config))


def _random(run: RunConfig, source: ExampleSource) -> ModelFolder:
    model = run.model
    path = _tokenizer(run)
    if not run.tokenizer:
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_process(path.with_name("tokenizer.lock")):
            train_vocabulary(source, path, model.encoder.vocab, run.seed, run.lowercase)
    return ModelFolder(path, fitted(run, model, path))


def _tokenizer(run: RunConfig) -> Path:
    """Returns the folder of the tokenizer: the one that is given, or the run's own, which may not be there yet."""
    if run.tokenizer and not Path(run.tokenizer).is_dir():
        raise ValueError(f"tokenizer={run.tokenizer!r} is no folder; give one with a tokenizer, or drop the setting.")
    return Path(run.tokenizer or Path(run.output) / TOKENIZER)


def fitted(run: RunConfig, model: ModelConfig, tokenizer: Path) -> ModelConfig:
    """Returns the model with as many embeddings as its tokenizer needs.

    A vocabulary of its own may have got fewer subwords.

    Raises:
        ValueError: The tokenizer has more pieces than the model.
    """
    size = vocabulary_size(tokenizer)
    if not run.tokenizer and size is not None and size < model.encoder.vocab:
        rounded = min(-(-size // 128) * 128, model.encoder.vocab)  # divisible among devices
        return dataclasses.replace(model, encoder=dataclasses.replace(model.encoder, vocab=rounded))
    if size is not None and size > model.encoder.vocab:
        raise ValueError(
            f"model.encoder.vocab={model.encoder.vocab} must be at least {size}, the pieces of the tokenizer in "
            f"{tokenizer}."
        )
    return model
