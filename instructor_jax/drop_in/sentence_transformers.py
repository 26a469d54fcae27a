"""What sentence-transformers' class offers beside `encode`, so that old code and its evaluators take an `Instructor`.

Each name does what its counterpart does, or, where there is no such thing here, answers in one sentence that says what
to do instead (`drop_in_answers.py`). PyTorch's modes and moves work in place and return the model, as they do there.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from instructor_jax.arguments import flag, optional_text, shown, whole_number
from instructor_jax.config import ModelConfig
from instructor_jax.drop_in.answers import Answers
from instructor_jax.drop_in.pickling import Portable
from instructor_jax.inference.devices import DeviceName, chosen_devices, device_name
from instructor_jax.inference.engine import Engine, dtype_name, kept_params, make_engine, make_tokenizer
from instructor_jax.inference.similarity import Measure, as_rows, measure_name, pairwise_similarities, similarities
from instructor_jax.inference.torch_tensors import as_tensor
from instructor_jax.io.bounds import SIZE
from instructor_jax.text.prompts import resolve_pairs


@dataclasses.dataclass
class ModelCardData:
    """Where sentence-transformers' evaluators leave their results.

    Attributes:
        evaluations: one entry per evaluation: its evaluator's class, its metrics, epoch and step.
    """

    evaluations: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def set_evaluation_metrics(self, evaluator: Any, metrics: dict[str, Any], epoch: int = 0, step: int = 0) -> None:
        """Notes the metrics of one evaluation."""
        name = getattr(evaluator, "name", "")
        kind = type(evaluator).__name__
        self.evaluations.append({"evaluator": kind, "name": name, "metrics": metrics, "epoch": epoch, "step": step})


class DropIn(Portable, Answers):
    """The part of an embedder that follows sentence-transformers; `Instructor` brings the rest."""

    model_card_data: Any
    modalities = ("text",)
    training = False  # there is nothing to switch: dropout exists only in the trainer
    _truncate_dim: int | None = None

    def encode(self, sentences: Any = None, *args: Any, **options: Any) -> Any:
        """See `Instructor.encode`."""
        raise NotImplementedError

    def save_pretrained(self, path: Any, **options: Any) -> None:
        """See `Instructor.save_pretrained`."""
        raise NotImplementedError

    # --- length and size -------------------------------------------------------------------------------------------

    @property
    def max_seq_length(self) -> int:
        """Most tokens of instruction and text together; may be set, also above the folder's own limit."""
        return self.folder.config.max_length

    @max_seq_length.setter
    def max_seq_length(self, value: Any) -> None:
        self._reconfigure(max_length=whole_number("max_seq_length", value, 2, SIZE))

    def get_max_seq_length(self) -> int:
        """The older name of `max_seq_length`."""
        return self.max_seq_length

    @property
    def truncate_dim(self) -> int | None:
        """Dimensions that `encode` keeps where its own `truncate_dim` is None; may be set."""
        return self._truncate_dim

    @truncate_dim.setter
    def truncate_dim(self, value: Any) -> None:
        dimensions = self.folder.config.embedding_dim
        self._truncate_dim = None if value is None else whole_number("truncate_dim", value, 1, dimensions)

    @contextlib.contextmanager
    def truncate_embeddings(self, truncate_dim: int | None) -> Iterator[None]:
        """Within this context `encode` keeps that many dimensions."""
        before = self.truncate_dim
        self.truncate_dim = truncate_dim
        try:
            yield
        finally:
            self._truncate_dim = before

    truncate_sentence_embeddings = truncate_embeddings

    def get_embedding_dimension(self) -> int:
        """Size of the vectors, of what `truncate_dim` leaves where that is set."""
        return self._truncate_dim or self.folder.config.embedding_dim

    get_sentence_embedding_dimension = get_embedding_dimension

    # --- prompts ---------------------------------------------------------------------------------------------------

    @property
    def prompts(self) -> dict[str, str]:
        """The model's named instructions; may be set and changed."""
        return self.folder.prompts

    @prompts.setter
    def prompts(self, value: Any) -> None:
        if not isinstance(value, dict) or not all(isinstance(part, str) for item in value.items() for part in item):
            raise ValueError(f"prompts={shown(value)} must be a dictionary of strings: a name for each instruction.")
        self.folder = dataclasses.replace(self.folder, prompts=dict(value))

    @property
    def default_prompt_name(self) -> str | None:
        """The name of the instruction of plain strings where none is given; may be set."""
        return self.folder.default_prompt_name

    @default_prompt_name.setter
    def default_prompt_name(self, value: Any) -> None:
        name = optional_text("default_prompt_name", value)
        if name is not None and name not in self.folder.prompts:
            known = ", ".join(map(repr, self.folder.prompts)) or "none"
            raise ValueError(f"default_prompt_name={shown(name)} is not in the model's prompts; it has {known}.")
        self.folder = dataclasses.replace(self.folder, default_prompt_name=name)

    def set_pooling_include_prompt(self, include_prompt: bool) -> None:
        """Whether the instruction's tokens are part of the mean; False is right for INSTRUCTOR models."""
        self._reconfigure(pool_instruction=flag("include_prompt", include_prompt))

    # --- similarity ------------------------------------------------------------------------------------------------

    @property
    def similarity_fn_name(self) -> Measure:
        """What `similarity` computes: "cosine", "dot", "euclidean" or "manhattan"; may be set."""
        return measure_name(self.folder.similarity_fn_name)

    @similarity_fn_name.setter
    def similarity_fn_name(self, value: Any) -> None:
        self.folder = dataclasses.replace(self.folder, similarity_fn_name=measure_name(value))

    def similarity(self, first: Any, second: Any) -> Any:
        """Every vector of the first array with every one of the second, by `similarity_fn_name`.

        Args:
            first: [n, dim], or [dim] for a single vector, as array, tensor or list of vectors.
            second: [m, dim], or [dim].

        Returns:
            [n, m], the greater the more alike; a torch tensor where the vectors were.

        Raises:
            ValueError: they are no vectors of one length.
        """
        return self._scores(similarities, first, second)

    def similarity_pairwise(self, first: Any, second: Any) -> Any:
        """The first vector of one array with the first of the other, and so on: [n]; else as `similarity`."""
        return self._scores(pairwise_similarities, first, second)

    # --- modes, devices and types ------------------------------------------------------------------------------------

    @property
    def device(self) -> DeviceName:
        """The first of the model's devices, as PyTorch spells it: "cpu", "cuda:0", "tpu:0"."""
        return device_name(self._ready().model.devices[0])

    @property
    def dtype(self) -> str:
        """Type of weights and computation: "float32" or "bfloat16"."""
        return self._options.dtype

    def eval(self) -> Any:
        """Nothing to do: an embedder only ever computes vectors."""
        return self

    def train(self, mode: bool = True) -> Any:
        """Nothing to do, as with `eval`; `instructor-jax train` trains."""
        return self

    def get_backend(self) -> str:
        """What computes: "jax"."""
        return "jax"

    def compile(self, *args: Any, **options: Any) -> None:
        """Nothing to do: JAX compiles anyway, and `warmup` does it beforehand."""

    def to(self, device: Any = None, dtype: Any = None, **options: Any) -> Any:
        """Moves the weights to other devices, computes in another type, or both; returns the model.

        Raises:
            ValueError: there is no such device, or T5 does not compute in that type.
        """
        if type(device).__name__ == "dtype" or str(device).startswith(("float", "bfloat", "half")):
            device, dtype = None, device  # model.to(torch.bfloat16)
        changed = self._options
        if dtype is not None:
            changed = dataclasses.replace(changed, dtype=dtype_name(dtype))
        if device is not None:
            changed = dataclasses.replace(changed, devices=tuple(chosen_devices(device, "device")))
        if changed != self._options:
            engine = self._ready()
            self._engine = make_engine(self.folder, kept_params(engine, self._options.dtype), changed)
            self._options = changed
        return self

    def cpu(self) -> Any:
        """Moves the weights to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Any:
        """Moves the weights to the GPUs, or to one of them by number or name."""
        return self.to("cuda" if device is None else device)

    def bfloat16(self) -> Any:
        """Computes in bfloat16."""
        return self.to(dtype="bfloat16")

    def float(self) -> Any:
        """Computes in float32, with the weights as they are."""
        return self.to(dtype="float32")

    def double(self) -> Any:
        """Refuses, in a sentence: nothing is gained by float64."""
        return self.to(dtype="float64")

    def half(self) -> Any:
        """Refuses, in a sentence: T5's activations overflow in float16; `bfloat16()` halves the weights too."""
        return self.to(dtype="float16")

    # --- tokens ----------------------------------------------------------------------------------------------------

    def tokenize(self, texts: Any) -> dict[str, np.ndarray]:
        """Token ids of strings or [instruction, text] pairs, cut to the limit and padded with 0 to the longest.

        Returns:
            "input_ids" and "attention_mask" [texts, len], and "context_masks" [texts]: how many leading tokens belong
            to the instruction and are not pooled. All int64.
        """
        tokens = self._ready().tokenizer(resolve_pairs([texts] if isinstance(texts, str) else texts, self.folder))
        lengths = tokens.lengths
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = tokens.tokens
        return {
            "input_ids": ids,
            "attention_mask": mask.astype(np.int64),
            "context_masks": tokens.unpooled.astype(np.int64),
        }

    preprocess = tokenize

    # --- several devices -------------------------------------------------------------------------------------------

    def start_multi_process_pool(self, target_devices: Any = None) -> dict[str, Any]:
        """A pool without processes: one process uses all devices already. Moves the weights to `target_devices`."""
        if target_devices is not None:
            self.to(list(dict.fromkeys(map(str, target_devices))))
        return {"input": None, "output": None, "processes": []}

    @staticmethod
    def stop_multi_process_pool(pool: Any) -> None:
        """Nothing to stop."""

    def encode_multi_process(
        self, sentences: Any, pool: Any = None, batch_size: Any = None, chunk_size: Any = None, **options: Any
    ) -> np.ndarray:
        """`encode`, which uses all of the model's devices anyway."""
        return self.encode(sentences, batch_size=batch_size, chunk_size=chunk_size, **options)

    # --- saving and evaluating -------------------------------------------------------------------------------------

    def save(self, path: Any, *args: Any, **options: Any) -> None:
        """The older name of `save_pretrained`."""
        self.save_pretrained(path, *args, **options)

    def evaluate(self, evaluator: Any, output_path: Any = None) -> Any:
        """The result of one of sentence-transformers' evaluators."""
        if output_path is not None:
            os.makedirs(output_path, exist_ok=True)
        return evaluator(self, output_path)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _scores(self, function: Any, first: Any, second: Any) -> Any:
        rows, others = as_rows("first", first), as_rows("second", second)
        if rows.shape[1] != others.shape[1] or (function is pairwise_similarities and len(rows) != len(others)):
            raise ValueError(f"vectors of the shapes {rows.shape} and {others.shape} do not belong together.")
        scores = function(self.similarity_fn_name, rows, others)
        tensors = [
            one
            for vectors in (first, second)
            for one in (vectors[:1] if isinstance(vectors, list | tuple) else [vectors])
            if hasattr(one, "detach")
        ]
        if not tensors:
            return scores
        return as_tensor(scores, tensors[0].device)

    def _reconfigure(self, **changes: Any) -> None:
        """Another configuration over the same weights and programs."""
        config: ModelConfig = dataclasses.replace(self.folder.config, **changes)
        folder = dataclasses.replace(self.folder, config=config)
        engine = self._ready()
        self._engine = Engine(make_tokenizer(folder), engine.model.with_max_length(config.max_length))
        self.folder = folder
