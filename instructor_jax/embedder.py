"""`Instructor`: a model's parameters, its tokenizer and its compiled functions behind one `encode`.

The signature of `encode` follows InstructorEmbedding's; everything new is keyword-only. How a model is loaded, copied
and pickled is in `inference/loaded.py`, the stages of the work in `inference/stages.py`, and what the class of
sentence-transformers offers beside `encode` in `drop_in/`.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Shaped

from instructor_jax.arguments import flag, unknown_keywords
from instructor_jax.drop_in.answers import Answers
from instructor_jax.drop_in.evaluators import Evaluated, ModelCardData
from instructor_jax.drop_in.model_settings import ModelSettings
from instructor_jax.drop_in.mteb import MTEB_OPTIONS, encode_for_mteb
from instructor_jax.drop_in.saving import Saved
from instructor_jax.drop_in.torch_module import TorchModule
from instructor_jax.inference import encoding
from instructor_jax.inference.devices import chosen_devices
from instructor_jax.inference.encode_info import encode_info, warn_of_truncation
from instructor_jax.inference.encode_options import EncodeOptions, encode_options
from instructor_jax.inference.loaded import LoadedModel
from instructor_jax.inference.output_form import output_form
from instructor_jax.inference.processes import check_process
from instructor_jax.inference.quantization import ranges_of
from instructor_jax.text.prompts import resolve_pairs

# Options of sentence-transformers' `encode` that change nothing here, and those with which MTEB calls it.
_OTHER_OPTIONS = ("inputs", "pool", "chunk_size", "task", *MTEB_OPTIONS)


class Instructor(LoadedModel, ModelSettings, TorchModule, Saved, Evaluated, Answers):
    """An embedding model, ready to encode. Make one with `from_pretrained`; a pickled one needs no folder.

    Args:
        folder: configuration and tokenizer, from `instructor_jax.io.folders.read_folder`; or the name or path of a
            model, whose weights are then read.
        params: the weights, from `read_params` or a trainer.
        dtype: type of weights and computation: "float32", "bfloat16", or "auto" for the fastest of the device in which
            vectors keep a cosine of 0.999 with those of float32.
        max_length: most tokens of instruction and text; the folder's own limit otherwise.
        devices: where to compute; all local devices otherwise.
        tokens_per_call: size of the largest device call per device, in tokens.
        mesh: how weights are split over the devices; see `from_pretrained`.

    Raises:
        ValueError: an argument is wrong, or weights and configuration do not belong together.
    """

    def with_params(self, params: Any) -> "Instructor":
        """Returns the same model with other weights, as arrays on the host; compiled programs are shared.

        Raises:
            ValueError: the weights do not fit the configuration.
        """
        other = super().with_params(params)
        other.model_card_data = ModelCardData()  # evaluations of these weights, not of those
        return other

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
            sentences: pairs [instruction, text], or strings with one `instruction`; a single string gives one vector.
            batch_size: most texts per device call; None lets the number of tokens decide, which is faster.
            show_progress_bar: a bar over the texts.
            output_value: "sentence_embedding"; "token_embeddings" for the hidden states of each text's tokens; None for
                a dictionary of all outputs per text.
            convert_to_numpy: False gives a list of vectors, as torch tensors where torch is installed.
            convert_to_tensor: a torch tensor (extra `torch`).
            device: moves the model there, where it does not lie there already.
            normalize_embeddings: unit length also for models without a normalising module.
            instruction: the instruction of plain strings.
            prompt_name: take the instruction from the folder's prompts.
            prompt: sentence-transformers' name for `instruction`.
            truncate_dim: keep this many dimensions, at unit length again.
            precision: "float32", "int8", "uint8" (both after `calibrate_int8`), "binary" or "ubinary".
            on_overflow: for texts longer than the limit: "warn" (truncate and say so), "error", "truncate", or
                "mean_of_windows" (encode pieces, each with the instruction, and average).
            return_info: also return an `EncodeInfo`.
            others: options of sentence-transformers and MTEB: `inputs` (for `sentences`), `pool`, `task` and the like.

        Returns:
            [texts, dim] float32 (or the precision's integers), in the order of `sentences`.

        Raises:
            ValueError: a wrong text (with its index), option or combination, or a vector that is not finite.
            MemoryError: the device's memory is too small.
            RuntimeError: this process was forked from one that used JAX already.
        """
        check_process()
        unknown_keywords("encode", others, _OTHER_OPTIONS)
        sentences = others.pop("inputs", sentences)
        if "task_metadata" in others:
            kept = {"batch_size": batch_size, "show_progress_bar": show_progress_bar, "precision": precision}
            return encode_for_mteb(self, sentences, truncate_dim=truncate_dim, **kept, **others)
        options = self._encode_options(batch_size, truncate_dim, precision, normalize_embeddings, on_overflow)
        form = output_form(output_value, convert_to_numpy, convert_to_tensor, options.on_overflow)
        progress, with_info = flag("show_progress_bar", show_progress_bar), flag("return_info", return_info)
        self._use_device(device)
        single = isinstance(sentences, str)
        pairs = resolve_pairs([sentences] if single else sentences, self.folder, instruction, prompt_name, prompt)
        outputs, info = encoding.outputs(self._ready(), self.folder, pairs, options, form.value, progress)
        warn_of_truncation(info, self.config.max_length, options.on_overflow)
        result = form.contained(outputs, single)
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
        if device is not None and not set(chosen_devices(device, "device")) & set(self._ready().devices):
            self.to(device)

    def _with_prompt(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        chosen = any(options.get(key) is not None for key in ("instruction", "prompt", "prompt_name"))
        return options if chosen or name not in self.folder.prompts else {**options, "prompt_name": name}
