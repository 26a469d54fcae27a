"""The two trainers, each in a process of its own, and what one timed stretch of training gives.

Both keep their model between stretches; ours goes on where it was, the peer's trainer starts a new optimizer each time,
which is not timed.
"""

import contextlib
import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

from contenders import Dtype, Setting
from machine import Clock
from train_workload import TrainWorkload, WorkloadSource


@dataclasses.dataclass(frozen=True)
class Shape:
    """What both trainers are told.

    Attributes:
        max_length: most tokens of a text, instruction included.
        groups, rows, length: the static shape of our step.
        remat: what our layers compute again.
        chunks: parts in which we encode a group.
        temperature: of the softmax; the peer's scale is its inverse.
    """

    max_length: int
    groups: int
    rows: int
    length: int
    remat: str
    chunks: int
    temperature: float


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Successive training steps.

    Attributes:
        wall: seconds that passed.
        cpu: processor seconds of the measured process.
        others: processors that other processes kept busy meanwhile; None where it cannot be known.
        steps: how many.
        tokens: real tokens that were read, padding not counted.
        computed: tokens with padding.
        loss: of the last step.
    """

    wall: float
    cpu: float
    others: float | None
    steps: int
    tokens: int
    computed: int
    loss: float


class OurTrainer:
    """`train_step` behind the input pipeline, as the training loop drives it."""

    def __init__(self, folder: Path, workload: TrainWorkload, shape: Shape, dtype: Dtype) -> None:
        os.environ["INSTRUCTOR_JAX_CACHE"] = "off"
        os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.6")  # on a GPU both trainers are loaded
        import jax

        from instructor_jax.train.config import TrainConfig
        from instructor_jax.train.data.group_packing import GroupShape
        from instructor_jax.train.objective import LossConfig
        from instructor_jax.train.optimizer import OptimizerConfig

        self._scratch = tempfile.TemporaryDirectory()
        cache, model = _token_cache(folder, workload, shape, Path(self._scratch.name))
        weights, examples = _weights_and_examples(cache, shape)
        group = GroupShape(shape.rows, shape.length, examples, negatives=1)
        self._config = TrainConfig(
            model=model,
            group=group,
            groups=shape.groups,
            steps=10**6,
            loss=LossConfig("in_batch", temperature=shape.temperature),
            optimizer=OptimizerConfig(learning_rate=2e-5, warmup_steps=0, schedule="constant"),
            tasks=tuple(workload.tasks),
            dropout=model.encoder.dropout > 0,
            dtype=dtype,
            gradient_cache_chunks=shape.chunks,
            remat=shape.remat,  # type: ignore[arg-type]
        )
        self._start(folder, cache, weights)
        device = jax.devices()[0]
        self.about = {
            "device": f"{device.platform}: {device.device_kind} x {jax.device_count()}",
            "tokens_of_a_step": shape.groups * group.tokens,
            "most_examples_of_a_step": shape.groups * examples,
        }

    def _start(self, folder: Path, cache: Any, weights: Any) -> None:
        from functools import partial

        import jax

        from instructor_jax.io.folders import read_folder
        from instructor_jax.sharding import make_mesh
        from instructor_jax.train.compiled_step import compiled_step
        from instructor_jax.train.data.batch_builder import BatchBuilder
        from instructor_jax.train.data.mixture import MixturePlan
        from instructor_jax.train.run.parameters import placed_params
        from instructor_jax.train.step import new_state, state_shardings

        self._mesh = make_mesh(self._config.mesh)
        config = self._config = self._config.suited_to(self._mesh)
        plan = MixturePlan(cache.rows, cache.tasks, weights, config.group, config.groups)
        self._open = contextlib.ExitStack()  # closed with the process
        self._batches = _batches(BatchBuilder(plan, cache), self._open)
        with jax.set_mesh(self._mesh):
            shardings = state_shardings(config, self._mesh)
            place = jax.jit(partial(new_state, config), out_shardings=shardings)
            self._state = place(placed_params(read_folder(folder), config.model, self._mesh))
            self._step = compiled_step(config, self._mesh, shardings)

    def stretch(self, setting: Setting, steps: int) -> Stretch:
        """Makes so many steps and waits for the last."""
        import jax

        from instructor_jax.train.data.pipeline import to_devices

        config, tokens, metrics = self._config, 0, None
        with jax.set_mesh(self._mesh):
            clock = Clock()
            for _ in range(steps):
                batch = next(self._batches)
                tokens += batch.tokens
                self._state, metrics = self._step(self._state, to_devices(batch.batch, self._mesh, config.groups))
            assert metrics is not None
            loss = float(metrics.loss)
            wall, cpu, others = clock.read()
        return Stretch(wall, cpu, others, steps, tokens, steps * config.groups * config.group.tokens, loss)

    def utilization(self, tokens_per_second: float) -> float | None:
        """Share of the device's bfloat16 peak; None on CPUs."""
        from instructor_jax.train.flops import utilization

        return utilization(self._config.model, tokens_per_second)


def _token_cache(folder: Path, workload: TrainWorkload, shape: Shape, scratch: Path) -> tuple[Any, Any]:
    from instructor_jax.io.folders import read_folder
    from instructor_jax.io.tokenizers.folders import load_token_ids
    from instructor_jax.text.tokenization import Tokenizer
    from instructor_jax.train.data.token_cache import tokenizer_digest
    from instructor_jax.train.data.token_cache_writer import open_token_cache

    model = dataclasses.replace(read_folder(folder).config, normalize=True, max_length=shape.max_length)
    vocab = model.encoder.vocab
    tokenizer = Tokenizer(load_token_ids(folder), shape.max_length, pool_instruction=False, vocab=vocab)
    return open_token_cache(WorkloadSource(workload), tokenizer, tokenizer_digest(folder), scratch, vocab), model


def _weights_and_examples(cache: Any, shape: Shape) -> tuple[Any, int]:
    from instructor_jax.train.data.budget import examples_needed
    from instructor_jax.train.settings.mixture_config import task_weights

    weights = task_weights([len(rows) for rows in cache.tasks.values()])
    return weights, examples_needed(cache.rows, cache.tasks, weights, shape.rows * shape.length, negatives=1)


def _batches(builder: Any, open_until_end: contextlib.ExitStack) -> Any:
    """Batches built ahead by Grain where it is there, else one after another."""
    from instructor_jax.train.data.pipeline import host_batches

    try:
        import grain  # noqa: F401
    except ImportError:
        return map(builder, range(10**6))
    return open_until_end.enter_context(host_batches(builder, 10**6))


class PeerTrainer:
    """`sentence_transformers.SentenceTransformerTrainer` with MultipleNegativesRankingLoss, or its cached form."""

    def __init__(self, folder: Path, workload: TrainWorkload, shape: Shape, dtype: Dtype, mini_batch: int) -> None:
        try:
            import accelerate  # noqa: F401
            import torch
            from datasets import Dataset, DatasetDict
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ImportError(
                f"the peer's trainer needs: pip install 'instructor-jax[torch]' accelerate datasets ({error})"
            ) from error
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._shape, self._dtype, self._mini_batch = shape, dtype, mini_batch
        self._folder = folder
        self._model_class: Any = SentenceTransformer
        self._models: dict[str, Any] = {}
        self._scratch = tempfile.TemporaryDirectory()
        columns = ("anchor", "positive", "negative")
        self._data: Any = DatasetDict(
            {
                name: Dataset.from_dict(dict(zip(columns, map(list, zip(*task.rows, strict=True)), strict=True)))
                for name, task in workload.tasks.items()
            }
        )
        self._prompts = {
            name: {"anchor": task.query, "positive": task.document, "negative": task.document}
            for name, task in workload.tasks.items()
        }
        self.about = {"device": f"{self._device}, {torch.get_num_threads()} threads", "mini_batch": mini_batch}

    def _model(self, attention: str) -> Any:
        if attention not in self._models:
            kwargs = {"attn_implementation": attention}
            model = self._model_class(
                str(self._folder), device=self._device, local_files_only=True, model_kwargs=kwargs
            )
            model.set_pooling_include_prompt(False)
            model.max_seq_length = self._shape.max_length
            self._models[attention] = model
        return self._models[attention]

    def stretch(self, setting: Setting, steps: int) -> Stretch:
        """Trains so many steps; the clock runs from the first one's start, its batch being ready, to the last's end."""
        import torch
        from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
        from sentence_transformers.sentence_transformer import losses
        from transformers import TrainerCallback

        model = self._model(setting.attention or "sdpa")
        counted = {"tokens": 0, "computed": 0}
        read: list[tuple[float, float, float | None]] = []

        class Timer(TrainerCallback):
            clock: Clock | None = None

            def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                self.clock = self.clock or Clock()

            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                assert self.clock is not None
                read.append(self.clock.read())

        def count(module: Any, inputs: tuple[Any, ...]) -> None:
            mask = inputs[0]["attention_mask"]
            if torch.is_grad_enabled() or not self._mini_batch:  # the cached loss encodes twice and reads once
                counted["tokens"] += int(mask.sum())
                counted["computed"] += mask.numel()

        scale = 1 / self._shape.temperature
        loss = (
            losses.CachedMultipleNegativesRankingLoss(model, scale=scale, mini_batch_size=self._mini_batch)
            if self._mini_batch
            else losses.MultipleNegativesRankingLoss(model, scale=scale)
        )
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=self._scratch.name,
                max_steps=steps,
                per_device_train_batch_size=setting.batch_size or 32,
                learning_rate=2e-5,
                lr_scheduler_type="constant",
                bf16=self._dtype == "bfloat16",
                use_cpu=self._device == "cpu",
                prompts=self._prompts,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=self._data,
            loss=loss,
            callbacks=[Timer()],
        )
        hook = model[0].register_forward_pre_hook(count)
        try:
            result = trainer.train()
        finally:
            hook.remove()
        return Stretch(*read[-1], steps, counted["tokens"], counted["computed"], float(result.training_loss))
