"""`Instructor`: a model's parameters, its tokenizer and its compiled functions behind one `encode`.

The signature follows InstructorEmbedding's, so that old code runs by changing the import; everything new is
keyword-only. The work is done by the stages of `stages.py`.
"""

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped
from tqdm import tqdm

from instructor_jax.compilation import enable_cache
from instructor_jax.config import ModelConfig
from instructor_jax.default_model import DEFAULT_MODEL
from instructor_jax.device_model import DeviceModel
from instructor_jax.encode_info import EncodeInfo, encode_info, prepared_info, warn_of_truncation
from instructor_jax.folder_writer import write_sentence_transformers
from instructor_jax.folders import ModelFolder, read_folder, read_params
from instructor_jax.hub import resolve_model
from instructor_jax.model import Params
from instructor_jax.packing import PackingConfig
from instructor_jax.prompts import resolve_pairs
from instructor_jax.quantization import Precision, quantize, ranges_of, truncate, unit_length
from instructor_jax.sharding import Device
from instructor_jax.stages import Finished, Prepared, finish, pipeline, prepare, run_calls
from instructor_jax.token_outputs import all_outputs, token_states
from instructor_jax.tokenization import OnOverflow, Pair, Tokenizer, load_token_ids

_CHUNK = 8192  # texts tokenised and packed together
_INLINE = 64  # up to this many texts, starting a thread costs more than it hides


class Instructor:
    """An embedding model, ready to encode. Make one with `from_pretrained`, or by calling the class with a name."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Instructor":
        if args and isinstance(args[0], str | Path):  # INSTRUCTOR("hkunlp/instructor-large") of the original
            device = kwargs.pop("device", None)  # options of the original, under its names
            if "cache_folder" in kwargs:
                kwargs["cache_dir"] = kwargs.pop("cache_folder")
            model = cls.from_pretrained(*args, **kwargs)
            model._check_device(device)
            return model
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any):
        if args and isinstance(args[0], str | Path):
            return  # made by from_pretrained above
        self._set_up(*args, **kwargs)

    def _set_up(
        self,
        folder: ModelFolder,
        params: Params,
        *,
        dtype: Literal["float32", "bfloat16"] = "float32",
        max_length: int | None = None,
        devices: Sequence[Device] | None = None,
        tokens_per_call: int | None = None,
    ) -> None:
        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype={dtype!r} must be 'float32' or 'bfloat16'; T5's activations overflow in float16.")
        enable_cache()
        config = folder.config
        if max_length is not None:
            config = dataclasses.replace(config, max_length=max_length)
        self.folder = dataclasses.replace(folder, config=config)
        self.dtype = dtype
        self._model = DeviceModel(config, params, dtype=dtype, devices=devices, tokens_per_call=tokens_per_call)
        self.tokenizer = Tokenizer(
            load_token_ids(folder.path),
            config.max_length,
            pool_instruction=config.pool_instruction,
            vocab=config.encoder.vocab,
        )

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = DEFAULT_MODEL,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        dtype: Literal["float32", "bfloat16"] = "float32",
        max_length: int | None = None,
        devices: Sequence[Device] | None = None,
        tokens_per_call: int | None = None,
    ) -> "Instructor":
        """Loads a model.

        Args:
            name_or_path: a folder (sentence-transformers' old or new layout, a plain T5 folder, our own), or a name on
                the Hugging Face hub such as "hkunlp/instructor-large"; without one, the small English model of the
                package, for trying out.
            revision: branch, tag or commit on the hub.
            cache_dir: the hub's cache; its own default otherwise.
            local_files_only: never ask the network.
            dtype: of weights and computation; norms, softmax, pooling and the vectors are float32 in either. CPUs
                without bfloat16 instructions compute with the rounded weights in float32.
            max_length: most tokens of instruction and text; the folder's own limit otherwise.
            devices: where to compute; all local devices otherwise, each with a full copy of the weights.
            tokens_per_call: size of the largest device call per device, in tokens.

        Raises:
            ValueError: no such model, or a file in it is broken or does not fit; the message names it.
        """
        path = resolve_model(
            str(name_or_path), revision=revision, cache_dir=cache_dir, local_files_only=local_files_only
        )
        folder = read_folder(path)
        model = cls.__new__(cls)
        model._set_up(
            folder,
            read_params(folder),
            dtype=dtype,
            max_length=max_length,
            devices=devices,
            tokens_per_call=tokens_per_call,
        )
        return model

    # --- what the model is -----------------------------------------------------------------------------------------

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.folder.config

    @property
    def params(self) -> Params:
        """The weights on the host, as the nested dictionary that `instructor_jax.model.embed` takes."""
        return self._model.params

    def with_params(self, params: Params) -> "Instructor":
        """The same model with other weights, as arrays on the host; compiled programs are shared with this one."""
        other = copy.copy(self)
        other._model = self._model.with_params(params)
        return other

    @property
    def packing(self) -> PackingConfig:
        """How texts are packed into batches."""
        return self._model.packing

    @property
    def max_seq_length(self) -> int:
        """Most tokens of instruction and text together."""
        return self.config.max_length

    def get_sentence_embedding_dimension(self) -> int:
        """Size of the vectors, before any `truncate_dim`."""
        return self.config.embedding_dim

    get_embedding_dimension = get_sentence_embedding_dimension

    @property
    def prompts(self) -> dict[str, str]:
        """The folder's named instructions."""
        return dict(self.folder.prompts)

    # --- encoding --------------------------------------------------------------------------------------------------

    def encode(
        self,
        sentences: Any,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        output_value: Literal["sentence_embedding", "token_embeddings"] | None = "sentence_embedding",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | None = None,
        normalize_embeddings: bool = False,
        *,
        instruction: str | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        truncate_dim: int | None = None,
        precision: Precision = "float32",
        on_overflow: OnOverflow = "warn",
        return_info: bool = False,
    ) -> Any:
        """Embeds texts, each under its own instruction.

        Args:
            sentences: a list of pairs [instruction, text], or of plain strings with one `instruction`; or a single
                string, which gives a single vector.
            batch_size: most texts per device call; None lets the number of tokens decide, which is faster.
            show_progress_bar: a bar over the texts.
            output_value: "sentence_embedding"; "token_embeddings" for the hidden states of each text's tokens; None for
                a dictionary of all outputs per text.
            convert_to_numpy: False gives a list of vectors instead of one array.
            convert_to_tensor: a torch tensor (extra `torch`).
            device: accepted for compatibility; the devices are chosen in `from_pretrained`.
            normalize_embeddings: unit length also for models without a normalising module.
            instruction: the instruction of plain strings.
            prompt_name: take the instruction from the folder's prompts.
            prompt: sentence-transformers' name for `instruction`.
            truncate_dim: keep this many dimensions, at unit length again.
            precision: "float32", "int8", "uint8" (both after `calibrate_int8`), "binary" or "ubinary".
            on_overflow: what to do with texts longer than the limit: "warn" (truncate and say so), "error", "truncate",
                or "mean_of_windows" (encode pieces, each with the instruction, and average).
            return_info: also return an `EncodeInfo`.

        Returns:
            [texts, dim] float32 (or the precision's integers), in the order of `sentences`.

        Raises:
            ValueError: a wrong element (with its index), option or combination, or an instruction that fills the limit.
        """
        self._check_options(batch_size, truncate_dim, precision, on_overflow)
        self._check_device(device)
        single = isinstance(sentences, str)
        pairs = resolve_pairs([sentences] if single else sentences, self.folder, instruction, prompt_name, prompt)
        if output_value != "sentence_embedding":
            outputs, info = self._token_outputs(pairs, batch_size, on_overflow, output_value)
            warn_of_truncation(info, self.config.max_length, on_overflow)
            result = outputs[0] if single else outputs
            return (result, info) if return_info else result
        finished = list(self._finished(pairs, batch_size, on_overflow, show_progress_bar))
        vectors = np.concatenate([chunk.vectors for chunk in finished])
        info = encode_info(finished)
        warn_of_truncation(info, self.config.max_length, on_overflow)
        vectors = self._shrink(vectors, normalize_embeddings, truncate_dim, precision)
        result = self._converted(vectors[0] if single else vectors, convert_to_numpy, convert_to_tensor)
        return (result, info) if return_info else result

    def encode_query(self, sentences: Any, **options: Any) -> Any:
        """`encode` under the folder's prompt named "query", unless an instruction is given."""
        return self.encode(sentences, **self._with_prompt("query", options))

    def encode_document(self, sentences: Any, **options: Any) -> Any:
        """`encode` under the folder's prompt named "document" (or "passage", "corpus"), unless one is given."""
        name = next((name for name in ("document", "passage", "corpus") if name in self.folder.prompts), "document")
        return self.encode(sentences, **self._with_prompt(name, options))

    def encode_stream(
        self,
        sentences: Iterable[Any],
        batch_size: int | None = None,
        *,
        instruction: str | None = None,
        truncate_dim: int | None = None,
        precision: Precision = "float32",
        normalize_embeddings: bool = False,
        on_overflow: OnOverflow = "warn",
    ) -> Iterator[Shaped[np.ndarray, "dim"]]:
        """Vectors one after another, in the order of the texts, in constant memory; reads some thousand texts ahead.

        Args and errors: as for `encode`.
        """
        self._check_options(batch_size, truncate_dim, precision, on_overflow)
        if isinstance(sentences, str):
            raise ValueError("sentences must be an iterable of texts or pairs, not a single string; see encode.")
        source = iter(sentences)
        chunks = enumerate(iter(lambda: list(islice(source, _CHUNK)), []))
        numbered = (
            (index * _CHUNK, resolve_pairs(chunk, self.folder, instruction, first=index * _CHUNK))
            for index, chunk in chunks
        )

        def vectors() -> Iterator[np.ndarray]:  # so that wrong options raise at once, not at the first vector
            first = 0
            for finished in self._pipeline(numbered, batch_size, on_overflow):
                warn_of_truncation(encode_info([finished]), self.config.max_length, on_overflow, first)
                first += len(finished.vectors)
                yield from self._shrink(finished.vectors, normalize_embeddings, truncate_dim, precision)

        return vectors()

    def similarity(
        self, first: Float[np.ndarray, "*n dim"], second: Float[np.ndarray, "*m dim"]
    ) -> Float[np.ndarray, "rows columns"]:
        """Cosine of every vector of the first array with every one of the second; a single vector is a row."""
        first, second = (np.atleast_2d(np.asarray(vectors, np.float32)) for vectors in (first, second))
        return unit_length(first) @ unit_length(second).T

    def calibrate_int8(self, sentences: Sequence[Any], *, truncate_dim: int | None = None, **options: Any) -> None:
        """Computes and keeps the ranges that int8 and uint8 vectors need, from typical texts; best some thousands."""
        vectors = self.encode(sentences, truncate_dim=truncate_dim, **options)
        ranges = {**self.folder.int8_ranges, vectors.shape[1]: ranges_of(vectors)}
        self.folder = dataclasses.replace(self.folder, int8_ranges=ranges)

    def warmup(self) -> int:
        """Compiles every bucket, so that no later call for vectors compiles; returns how many there are."""
        return self._model.warmup()

    def save_pretrained(self, path: str | Path) -> None:
        """Writes a folder that sentence-transformers opens with the right pooling, weights in the model's dtype.

        Raises:
            ValueError: the folder exists and is not empty.
        """
        kept = jnp.dtype(self.dtype)  # the computation's may be wider
        params = jax.tree.map(lambda array: np.asarray(array).astype(kept, copy=False), self.params)
        write_sentence_transformers(Path(path), self.folder, params)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _prepare(self, chunk: tuple[int, list[Pair]], batch_size: int | None, on_overflow: OnOverflow) -> Prepared:
        first, pairs = chunk
        return prepare(self.tokenizer, pairs, self.packing, on_overflow, batch_size, first)

    def _finished(
        self, pairs: list[Pair], batch_size: int | None, on_overflow: OnOverflow, progress: bool | None
    ) -> Iterator[Finished]:
        if len(pairs) <= _INLINE:
            prepared = self._prepare((0, pairs), batch_size, on_overflow)
            results = run_calls(prepared, self._model.embed)
            finished = finish(prepared, results, self.config.normalize)
            yield finished if len(pairs) else dataclasses.replace(finished, vectors=self._no_vectors())
            return
        chunks = ((start, pairs[start : start + _CHUNK]) for start in range(0, len(pairs), _CHUNK))
        with tqdm(total=len(pairs), desc="encode", unit="text", disable=not progress) as bar:
            for finished in self._pipeline(chunks, batch_size, on_overflow):
                bar.update(len(finished.vectors))
                yield finished

    def _pipeline(
        self, chunks: Iterable[tuple[int, list[Pair]]], batch_size: int | None, on_overflow: OnOverflow
    ) -> Iterator[Finished]:
        stage_one = partial(self._prepare, batch_size=batch_size, on_overflow=on_overflow)
        return pipeline(chunks, stage_one, self._model.embed, self.config.normalize)

    def _no_vectors(self) -> np.ndarray:
        return np.zeros((0, self.config.embedding_dim), np.float32)

    def _with_prompt(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        chosen = any(options.get(key) is not None for key in ("instruction", "prompt", "prompt_name"))
        return options if chosen or name not in self.folder.prompts else {**options, "prompt_name": name}

    def _check_options(
        self, batch_size: int | None, truncate_dim: int | None, precision: Precision, on_overflow: OnOverflow
    ) -> None:
        if on_overflow not in ("warn", "error", "truncate", "mean_of_windows"):
            raise ValueError(f"on_overflow={on_overflow!r} must be warn, error, truncate or mean_of_windows.")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1.")
        self._shrink(self._no_vectors(), False, truncate_dim, precision)  # refuses before any work what cannot be done

    def _check_device(self, device: str | None) -> None:
        platform = self._model.platform
        asked = {"cuda": "gpu", "rocm": "gpu"}.get(str(device).split(":")[0], str(device).split(":")[0])
        if device is not None and asked != platform:
            raise ValueError(
                f"device={device!r}, but this model was loaded on {platform}; choose with "
                "from_pretrained(devices=jax.devices(...))."
            )

    def _shrink(self, vectors: np.ndarray, normalize: bool, dim: int | None, precision: Precision) -> np.ndarray:
        if normalize and not self.config.normalize:
            vectors = unit_length(vectors)
        vectors = truncate(vectors, dim)
        return quantize(vectors, precision, self.folder.int8_ranges.get(vectors.shape[1]))

    def _converted(self, vectors: np.ndarray, to_numpy: bool, to_tensor: bool) -> Any:
        if to_tensor:
            try:
                import torch
            except ImportError as error:
                raise ImportError("convert_to_tensor=True needs torch: pip install 'instructor-jax[torch]'") from error
            return torch.from_numpy(vectors)
        return vectors if to_numpy or vectors.ndim == 1 else list(vectors)

    def _token_outputs(
        self, pairs: list[Pair], batch_size: int | None, on_overflow: OnOverflow, output_value: str | None
    ) -> tuple[list[Any], EncodeInfo]:
        if output_value not in ("token_embeddings", None):
            raise ValueError(
                f"output_value={output_value!r} must be 'sentence_embedding', 'token_embeddings' or None (everything)."
            )
        if on_overflow == "mean_of_windows":
            raise ValueError("on_overflow='mean_of_windows' gives one vector per text, not token embeddings.")
        prepared = self._prepare((0, pairs), batch_size, on_overflow)
        hidden = [np.asarray(self._model.encode_tokens(call.batch)) for call in prepared.calls]
        states = token_states(prepared, hidden)
        if output_value == "token_embeddings":
            return states, prepared_info(prepared)
        vectors = finish(prepared, run_calls(prepared, self._model.embed), self.config.normalize).vectors
        return all_outputs(prepared, states, vectors), prepared_info(prepared)


INSTRUCTOR = Instructor
