"""From the command line's options to a service: models loaded, named, and given their queues."""

import dataclasses
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.arguments import whole_number
from instructor_jax.inference.compute_options import compute_options
from instructor_jax.inference.encode_options import encode_options
from instructor_jax.inference.encoding import finished_chunks
from instructor_jax.inference.engine import Engine
from instructor_jax.inference.quantization import ranges_of
from instructor_jax.io.bounds import SIZE
from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.io.folders import ModelFolder, open_params, read_folder
from instructor_jax.io.hub import resolve_model
from instructor_jax.io.printable import shown
from instructor_jax.io.tables.text_lines import TextLines
from instructor_jax.io.tokenizers.folders import open_tokenizer
from instructor_jax.server.device.jobs import Job
from instructor_jax.server.device.served_model import ServedModel
from instructor_jax.server.device.token_queue import TokenQueue
from instructor_jax.server.device.token_views import TokenViews
from instructor_jax.server.metrics import Metrics
from instructor_jax.server.options import ServedOptions
from instructor_jax.server.service import Service
from instructor_jax.server.settings import Habits, Limits
from instructor_jax.text.tokenization import Pair

_DEFAULT_NAME = "instructor-jax-default"  # how the packaged model is called where nobody names it


def parse_aliases(given: Sequence[str]) -> dict[str, str]:
    """Returns alias -> instruction from NAME=INSTRUCTION.

    Raises:
        ValueError: one has no name or no instruction, or a name occurs twice.
    """
    aliases: dict[str, str] = {}
    for text in given:
        name, equals, instruction = text.partition("=")
        if not equals or not name.strip() or not instruction.strip() or "/" in name:
            raise ValueError(f'--alias {shown(text)} must be NAME="INSTRUCTION", the name without a slash')
        if name.strip() in aliases:
            raise ValueError(f"--alias {name.strip()} is given twice")
        aliases[name.strip()] = instruction
    return aliases


def load_models(
    names: Sequence[str], served: ServedOptions, aliases: Mapping[str, str], limits: Limits, habits: Habits
) -> Service:
    """Loads the models and puts a service around them; nothing is compiled yet.

    Raises:
        ValueError: a model or an option is wrong.
        OSError: a model cannot be read or fetched.
    """
    if len(served.served_model_name) > len(names):
        raise ValueError(f"--served-model-name is given {len(served.served_model_name)} times for {len(names)} models")
    arrived = threading.Condition()
    models: list[ServedModel] = []
    service: list[Service] = []  # known once the models are

    def dropped(job: Job, late: bool) -> None:
        service[0].dropped(job, late)

    for index, name in enumerate(names):
        shown_name = served.served_model_name[index] if index < len(served.served_model_name) else _name_of(name)
        if shown_name in [model.name for model in models]:
            raise ValueError(f"two models would be called {shown(shown_name)}; give --served-model-name for each")
        folder, engine = _load(name, served)
        budget = engine.packing.tokens_per_call * engine.packing.groups
        queue = TokenQueue(budget, limits.queued_tokens, limits.queue_seconds, dropped, arrived)
        models.append(
            ServedModel(
                shown_name,
                folder,
                engine,
                queue,
                TokenViews(partial(open_tokenizer, folder.path)),
                served.instruction,
                dict(aliases),
                engine.dtype,
                int(time.time()),
            )
        )
    service.append(Service(models, arrived, limits, habits, Metrics(habits.metrics_names)))
    return service[0]


def _name_of(name: str) -> str:
    if name in ("", DEFAULT_MODEL):
        return _DEFAULT_NAME
    return Path(name).resolve().name if Path(name).is_dir() else name


def _load(name: str, served: ServedOptions) -> tuple[ModelFolder, Engine]:
    folder = read_folder(resolve_model(name, local_files_only=served.local_files_only))
    if served.max_length is not None:
        most = whole_number("--max-length", served.max_length, 2, SIZE)
        folder = dataclasses.replace(folder, config=dataclasses.replace(folder.config, max_length=most))
    engine = Engine(folder, open_params(folder), compute_options(served.dtype, served.device or None, None))
    if served.int8_texts is not None:
        ranges = _ranges(folder, engine, served.int8_texts)
        folder = dataclasses.replace(folder, int8_ranges={**folder.int8_ranges, **ranges})
    return folder, engine


def _ranges(folder: ModelFolder, engine: Engine, path: Path) -> dict[int, np.ndarray]:
    """Returns the ranges of the vectors of a file's lines, for int8 and uint8."""
    lines = TextLines(path)
    try:
        pairs = [Pair("", line) for line in lines]
    finally:
        lines.close()
    options: Any = encode_options(folder, on_overflow="truncate")
    vectors = np.concatenate([chunk.vectors for chunk in finished_chunks(engine, folder, pairs, options, False)])
    return {vectors.shape[1]: ranges_of(vectors)}
