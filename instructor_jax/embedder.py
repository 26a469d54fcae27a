"""`Instructor`: a model's parameters, its tokenizer and its compiled functions behind one `encode`.

The signature of `encode` follows InstructorEmbedding's; everything new is keyword-only. The work is done by the stages
of `stages.py`; what sentence-transformers' class offers beside `encode` is in `drop_in.py`.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from instructor_jax.arguments import flag, model_name, optional_path, optional_text, unknown_keywords, whole_number
from instructor_jax.config import ModelConfig
from instructor_jax.drop_in.mteb import MTEB_OPTIONS, encode_for_mteb, mteb_model_meta
from instructor_jax.drop_in.pickling import Pickled
from instructor_jax.drop_in.sentence_transformers import DropIn, ModelCardData
from instructor_jax.inference import encoding
from instructor_jax.inference.device_model import DeviceModel
from instructor_jax.inference.devices import chosen_devices
from instructor_jax.inference.encode_info import encode_info, warn_of_truncation
from instructor_jax.inference.encode_options import EncodeOptions, check_output_value, encode_options
from instructor_jax.inference.engine import compute_options, kept_params, make_engine
from instructor_jax.inference.processes import check_process
from instructor_jax.inference.quantization import ranges_of
from instructor_jax.io.bounds import SIZE
from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.io.folder_writer import write_sentence_transformers
from instructor_jax.io.folders import ModelFolder, read_folder, read_params
from instructor_jax.io.hub import resolve_model
from instructor_jax.nn.model import Params
from instructor_jax.text.packing import PackingConfig
from instructor_jax.text.prompts import resolve_pairs
from instructor_jax.text.tokenization import Tokenizer

# Options of sentence-transformers' `encode` that change nothing here, and those with which MTEB calls it.
_OTHER_OPTIONS = ("inputs", "pool", "chunk_size", "task", *MTEB_OPTIONS)


class Instructor(DropIn):
    """An embedding model, ready to encode. Make one with `from_pretrained`; a pickled one needs no folder.

    Args:
        folder: configuration and tokenizer, from `instructor_jax.io.folders.read_folder`; or the name or path of a
            model, whose weights are then read.
        params: the weights, from `read_params` or a trainer.
        dtype: of weights and computation.
        max_length: most tokens of instruction and text; the folder's own limit otherwise.
        devices: where to compute; all local devices otherwise.
        tokens_per_call: size of the largest device call per device, in tokens.

    Raises:
        ValueError: an argument is wrong, or weights and configuration do not belong together.
    """

    def __init__(
        self,
        folder: Any,
        params: Any = None,
        *,
        dtype: Any = "float32",
        max_length: Any = None,
        devices: Any = None,
        tokens_per_call: Any = None,
    ) -> None:
        check_process()
        self._options = compute_options(dtype, devices, tokens_per_call)
        if not isinstance(folder, ModelFolder):
            folder = read_folder(resolve_model(model_name("name_or_path", folder)))
        if max_length is not None:
            config = dataclasses.replace(folder.config, max_length=whole_number("max_length", max_length, 2, SIZE))
            folder = dataclasses.replace(folder, config=config)
        self.folder: ModelFolder = dataclasses.replace(folder, prompts=dict(folder.prompts))
        self.model_card_data = ModelCardData()
        self._pickled: Pickled | None = None
        self._engine = make_engine(self.folder, read_params(folder) if params is None else params, self._options)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: Any = DEFAULT_MODEL,
        *,
        revision: str | None = None,
        cache_dir: Any = None,
        local_files_only: Any = False,
        token: Any = None,
        dtype: Any = "float32",
        max_length: Any = None,
        devices: Any = None,
        tokens_per_call: Any = None,
    ) -> "Instructor":
        """Loads a model.

        Args:
            name_or_path: a folder (sentence-transformers' old or new layout, a plain T5 folder, our own), or a name on
                the Hugging Face hub such as "hkunlp/instructor-large"; without one, the small English model of the
                package, for trying out.
            revision: branch, tag or commit on the hub.
            cache_dir: the hub's cache; its own default otherwise.
            local_files_only: never ask the network.
            token: the hub's, for private models; `hf auth login` keeps one.
            dtype: of weights and computation; norms, softmax, pooling and the vectors are float32 in either. CPUs
                without bfloat16 instructions compute with the rounded weights in float32.
            max_length: most tokens of instruction and text; the folder's own limit otherwise.
            devices: where to compute, as JAX devices or names ("cpu", "cuda:1"); all local devices otherwise, each with
                a full copy of the weights.
            tokens_per_call: size of the largest device call per device, in tokens.

        Raises:
            ValueError: no such model or device, or a file in it is broken or does not fit; the message names it.
            OSError: the hub does not know it or cannot be reached.
            RuntimeError: this process was forked from one that used JAX already.
        """
        path = resolve_model(
            model_name("name_or_path", name_or_path),
            revision=optional_text("revision", revision),
            cache_dir=optional_path("cache_dir", cache_dir),
            local_files_only=flag("local_files_only", local_files_only),
            token=token,
        )
        model = cls.__new__(cls)
        Instructor.__init__(
            model,
            read_folder(path),
            dtype=dtype,
            max_length=max_length,
            devices=devices,
            tokens_per_call=tokens_per_call,
        )
        return model

    def __repr__(self) -> str:
        config = self.folder.config
        return f"{type(self).__name__}({str(self.folder.whole)!r}, {config.embedding_dim} dimensions, {self.dtype})"

    # --- what the model is -----------------------------------------------------------------------------------------

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.folder.config

    @property
    def params(self) -> Params:
        """The weights on the host, as the nested dictionary that `instructor_jax.nn.model.embed` takes."""
        return self._model.params

    def with_params(self, params: Any) -> "Instructor":
        """The same model with other weights, as arrays on the host; compiled programs are shared with this one.

        Raises:
            ValueError: the weights do not fit the configuration.
        """
        other = self.__copy__()
        other.model_card_data = ModelCardData()
        other._engine = self._ready()._replace(model=self._model.with_params(params))
        return other

    @property
    def packing(self) -> PackingConfig:
        """How texts are packed into batches."""
        return self._model.packing

    @property
    def tokenizer(self) -> Tokenizer:
        """What turns pairs into token ids: `instructor_jax.text.tokenization.Tokenizer`."""
        return self._ready().tokenizer

    @property
    def mteb_model_meta(self) -> Any:
        """MTEB's record of the model, once MTEB is imported."""
        return mteb_model_meta(self)

    # --- encoding --------------------------------------------------------------------------------------------------

    def encode(
        self,
        sentences: Any = None,
        batch_size: Any = None,
        show_progress_bar: Any = None,
        output_value: Any = "sentence_embedding",
        convert_to_numpy: Any = True,
        convert_to_tensor: Any = False,
        device: Any = None,
        normalize_embeddings: Any = False,
        *,
        instruction: Any = None,
        prompt_name: Any = None,
        prompt: Any = None,
        truncate_dim: Any = None,
        precision: Any = "float32",
        on_overflow: Any = "warn",
        return_info: Any = False,
        **others: Any,
    ) -> Any:
        """Embeds texts, each under its own instruction.

        Args:
            sentences: a list of pairs [instruction, text], or of plain strings with one `instruction`; or a single
                string, which gives a single vector.
            batch_size: most texts per device call; None lets the number of tokens decide, which is faster.
            show_progress_bar: a bar over the texts.
            output_value: "sentence_embedding"; "token_embeddings" for the hidden states of each text's tokens; None for
                a dictionary of all outputs per text.
            convert_to_numpy: False gives a list of vectors instead of one array, as torch tensors where torch is
                installed.
            convert_to_tensor: a torch tensor (extra `torch`).
            device: moves the model there, where it does not lie there already.
            normalize_embeddings: unit length also for models without a normalising module.
            instruction: the instruction of plain strings.
            prompt_name: take the instruction from the folder's prompts.
            prompt: sentence-transformers' name for `instruction`.
            truncate_dim: keep this many dimensions, at unit length again.
            precision: "float32", "int8", "uint8" (both after `calibrate_int8`), "binary" or "ubinary".
            on_overflow: what to do with texts longer than the limit: "warn" (truncate and say so), "error", "truncate",
                or "mean_of_windows" (encode pieces, each with the instruction, and average).
            return_info: also return an `EncodeInfo`.
            others: sentence-transformers' `inputs` (for `sentences`), `pool`, `chunk_size` and `task`, which change
                nothing; and MTEB's.

        Returns:
            [texts, dim] float32 (or the precision's integers), in the order of `sentences`.

        Raises:
            ValueError: a wrong element (with its index), option or combination, an instruction that fills the limit, or
                a vector that is not finite.
            MemoryError: the device's memory is too small.
            RuntimeError: this process was forked from one that used JAX already.
        """
        check_process()
        if others:
            unknown_keywords("encode", others, _OTHER_OPTIONS)
            sentences = others.pop("inputs", sentences)
            if "task_metadata" in others:
                kept = {"batch_size": batch_size, "show_progress_bar": show_progress_bar, "precision": precision}
                mteb = {key: others.get(key) for key in ("task_metadata", "prompt_type")}
                return encode_for_mteb(self, sentences, **mteb, **kept, truncate_dim=truncate_dim)
        options = self._encode_options(batch_size, truncate_dim, precision, normalize_embeddings, on_overflow)
        check_output_value(output_value, options.on_overflow)
        numpy, tensor = flag("convert_to_numpy", convert_to_numpy), flag("convert_to_tensor", convert_to_tensor)
        progress, with_info = flag("show_progress_bar", show_progress_bar), flag("return_info", return_info)
        self._use_device(device)
        engine = self._ready()
        single = isinstance(sentences, str)
        pairs = resolve_pairs([sentences] if single else sentences, self.folder, instruction, prompt_name, prompt)
        if output_value == "sentence_embedding":
            finished = list(encoding.finished_chunks(engine, self.folder, pairs, options, progress))
            vectors = options.shrink(np.concatenate([chunk.vectors for chunk in finished]), self.folder)
            info = encode_info(finished)
            result = encoding.converted(vectors[0] if single else vectors, numpy, tensor)
        else:
            everything = output_value is None
            outputs, info = encoding.token_outputs(engine, self.folder, pairs, options, everything=everything)
            outputs = [encoding.tensors(output) for output in outputs] if tensor else outputs
            result = outputs[0] if single else outputs
        warn_of_truncation(info, self.config.max_length, options.on_overflow)
        return (result, info) if with_info else result

    def encode_query(self, sentences: Any = None, **options: Any) -> Any:
        """`encode` under the folder's prompt named "query", unless an instruction is given."""
        return self.encode(sentences, **self._with_prompt("query", options))

    def encode_document(self, sentences: Any = None, **options: Any) -> Any:
        """`encode` under the folder's prompt named "document" (or "passage", "corpus"), unless one is given."""
        name = next((name for name in ("document", "passage", "corpus") if name in self.folder.prompts), "document")
        return self.encode(sentences, **self._with_prompt(name, options))

    def encode_stream(
        self,
        sentences: Any,
        batch_size: Any = None,
        *,
        instruction: Any = None,
        truncate_dim: Any = None,
        precision: Any = "float32",
        normalize_embeddings: Any = False,
        on_overflow: Any = "warn",
    ) -> Iterator[Shaped[np.ndarray, "dim"]]:
        """Vectors one after another, in the order of the texts, in constant memory; reads some thousand texts ahead.

        Args and errors: as for `encode`.
        """
        check_process()
        options = self._encode_options(batch_size, truncate_dim, precision, normalize_embeddings, on_overflow)
        if isinstance(sentences, str) or not hasattr(sentences, "__iter__"):
            kind = "a single string" if isinstance(sentences, str) else f"a {type(sentences).__name__}"
            raise ValueError(f"sentences must be an iterable of texts or pairs, not {kind}; see encode.")
        source = iter(sentences)
        size = encoding.CHUNK
        chunks = enumerate(iter(lambda: list(islice(source, size)), []))
        numbered = (
            (index * size, resolve_pairs(chunk, self.folder, instruction, first=index * size))
            for index, chunk in chunks
        )

        def vectors() -> Iterator[np.ndarray]:  # so that wrong options raise at once, not at the first vector
            first = 0
            for finished in encoding.chunk_pipeline(self._ready(), self.folder, numbered, options):
                warn_of_truncation(encode_info([finished]), self.config.max_length, options.on_overflow, first)
                first += len(finished.vectors)
                yield from options.shrink(finished.vectors, self.folder)

        return vectors()

    def calibrate_int8(self, sentences: Sequence[Any], *, truncate_dim: int | None = None, **options: Any) -> None:
        """Computes and keeps the ranges that int8 and uint8 vectors need, from typical texts; best some thousands."""
        vectors = self.encode(sentences, truncate_dim=truncate_dim, **options)
        ranges = {**self.folder.int8_ranges, vectors.shape[1]: ranges_of(vectors)}
        self.folder = dataclasses.replace(self.folder, int8_ranges=ranges)

    def warmup(self) -> int:
        """Compiles every bucket, so that no later call for vectors compiles; returns how many there are."""
        return self._model.warmup()

    def save_pretrained(
        self,
        path: Any,
        model_name: Any = None,
        create_model_card: Any = True,
        train_datasets: Any = None,
        safe_serialization: Any = True,
    ) -> None:
        """Writes a folder that sentence-transformers opens with the right pooling, weights in the model's dtype.

        Args:
            path: the new folder.
            model_name: sentence-transformers' option for its model card; there is none here, and nothing changes.
            create_model_card: likewise.
            train_datasets: likewise.
            safe_serialization: False, for a file of PyTorch, is refused.

        Raises:
            ValueError: the folder exists and is not empty.
        """
        if not flag("safe_serialization", safe_serialization):
            raise ValueError(
                "safe_serialization=False: weights are written as safetensors only, which torch reads too."
            )
        target = optional_path("path", path)
        if target is None:
            raise ValueError("path=None: give the folder that is to be written.")
        write_sentence_transformers(Path(target), self.folder, kept_params(self._ready(), self._options.dtype))

    # --- inside ----------------------------------------------------------------------------------------------------

    @property
    def _model(self) -> DeviceModel:
        return self._ready().model

    def _encode_options(
        self, batch_size: Any, truncate_dim: Any, precision: Any, normalize_embeddings: Any, on_overflow: Any
    ) -> EncodeOptions:
        return encode_options(
            self.folder,
            batch_size=batch_size,
            on_overflow=on_overflow,
            truncate_dim=self._truncate_dim if truncate_dim is None else truncate_dim,
            precision=precision,
            normalize_embeddings=normalize_embeddings,
        )

    def _use_device(self, device: Any) -> None:
        if device is not None and not set(chosen_devices(device, "device")) & set(self._model.devices):
            self.to(device)

    def _with_prompt(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        chosen = any(options.get(key) is not None for key in ("instruction", "prompt", "prompt_name"))
        return options if chosen or name not in self.folder.prompts else {**options, "prompt_name": name}
