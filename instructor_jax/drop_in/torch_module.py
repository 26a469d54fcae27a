"""What a model of sentence-transformers has as a PyTorch module: modes, moves, types, tokens and worker pools.

Moves work in place and return the model, as PyTorch's do.
"""

import dataclasses
from typing import Any

import numpy as np

from instructor_jax.drop_in.host import Host
from instructor_jax.inference.compute_options import chosen_dtype
from instructor_jax.inference.devices import DeviceName, chosen_devices, device_name
from instructor_jax.inference.pickled import portable
from instructor_jax.text.prompts import resolve_pairs


class TorchModule(Host):
    """The names that a PyTorch module has and that mean something here."""

    modalities = ("text",)
    training = False  # there is nothing to switch: dropout exists only in the trainer

    @property
    def device(self) -> DeviceName:
        """The first of the model's devices, as PyTorch spells it: "cpu", "cuda:0", "tpu:0"."""
        return device_name(self._ready().devices[0])

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
        if device is not None:
            changed = dataclasses.replace(portable(changed), devices=tuple(chosen_devices(device, "device")))
        if dtype is not None:
            changed = dataclasses.replace(changed, dtype=chosen_dtype(dtype, changed.devices))
        self._compute_with(changed)
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
