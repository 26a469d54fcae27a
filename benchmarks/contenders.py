"""The libraries, each in a process of its own that answers calls through a pipe.

JAX's and PyTorch's thread pools would fight in one process. Here the library that is not measured waits for its next
call and uses no processor; both stay loaded, so that measurements can alternate.
"""

import dataclasses
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from machine import Clock

Dtype = Literal["float32", "bfloat16"]
_WARM_QUERIES = 3


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way to call a library; for ours there is none but the default.

    Attributes:
        library: "ours", "peer" (sentence-transformers), or a name of `runtimes.RUNTIMES`.
        batch_size: of all but ours.
        attention: of the peer.
    """

    library: str
    batch_size: int | None = None
    attention: str | None = None

    @property
    def label(self) -> str:
        """Its name in tables."""
        return self.kind if self.batch_size is None else f"{self.kind}, batch {self.batch_size}"

    @property
    def kind(self) -> str:
        """The library with its way of attention, where it has several."""
        return self.library if self.attention is None else f"{self.library} {self.attention}"


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One timed call.

    Attributes:
        wall: seconds that passed.
        cpu: processor seconds of the measured process, all threads.
        others: processors that other processes kept busy meanwhile, on average; None where it cannot be known.
        vectors: [texts, dim] float32.
        token_counts: per text, tokens that were read; None from the peer.
        padding: share of computed tokens that were padding, 0 to 1; None from the peer.
    """

    wall: float
    cpu: float
    others: float | None
    vectors: np.ndarray
    token_counts: np.ndarray | None
    padding: float | None


@dataclasses.dataclass(frozen=True)
class Latencies:
    """Single queries: the seconds of each, and the processors that others kept busy meanwhile."""

    seconds: list[float]
    others: float | None


class Library(Protocol):
    """What a process holds."""

    about: dict[str, Any]

    def encode(
        self, setting: Setting, texts: Any, instruction: str
    ) -> tuple[np.ndarray, np.ndarray | None, float | None]:
        """Vectors, token counts and padding; the last two only from ours."""
        ...


class Ours:
    """`instructor_jax.Instructor` with its defaults."""

    def __init__(self, folder: Path, dtype: Dtype):
        os.environ["INSTRUCTOR_JAX_CACHE"] = "off"  # the time of a compilation is a figure of the report
        os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.45")  # on a GPU both libraries are loaded
        import jax

        from instructor_jax import Instructor

        started = time.perf_counter()
        self._model = Instructor.from_pretrained(folder, dtype=dtype)
        self._model.set_pooling_include_prompt(False)
        loaded = time.perf_counter()
        programs = self._model.warmup()
        self.about = {
            "device": f"{jax.devices()[0].platform}: {jax.devices()[0].device_kind} x {jax.local_device_count()}",
            "load_seconds": loaded - started,
            "warmup_seconds": time.perf_counter() - loaded,
            "programs": programs,
            "tokens_per_call": self._model.packing.tokens_per_call,
        }

    def encode(self, setting: Setting, texts: Any, instruction: str) -> tuple[np.ndarray, np.ndarray, float]:
        """See `Library.encode`."""
        vectors, info = self._model.encode(texts, instruction=instruction, on_overflow="truncate", return_info=True)
        return vectors, np.minimum(info.token_counts, self._model.max_seq_length), info.padding


class Peer:
    """`sentence_transformers.SentenceTransformer`, on the GPU where torch sees one, a model per way of attention."""

    def __init__(self, folder: Path, dtype: Dtype, attentions: Sequence[str]):
        try:
            import torch
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar
        except ImportError as error:
            raise ImportError("the peer needs the extra `torch`: pip install 'instructor-jax[torch]'") from error
        disable_progress_bar()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        started = time.perf_counter()
        self._models = {}
        for attention in attentions:
            kwargs = {"dtype": getattr(torch, dtype), "attn_implementation": attention}
            model = SentenceTransformer(str(folder), device=device, local_files_only=True, model_kwargs=kwargs)
            model.to(getattr(torch, dtype))  # the projection too, or its product mixes types
            model.set_pooling_include_prompt(False)
            self._models[attention] = model.eval()
        name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
        used = {name: str(model[0].auto_model.config._attn_implementation) for name, model in self._models.items()}
        self.about = {
            "device": f"{device}: {name}",
            "load_seconds": (time.perf_counter() - started) / len(self._models),
            "attention": used,
            "dtypes": sorted({str(p.dtype) for model in self._models.values() for p in model.parameters()}),
        }

    def encode(self, setting: Setting, texts: Any, instruction: str) -> tuple[np.ndarray, None, None]:
        """See `Library.encode`."""
        vectors = self._models[setting.attention].encode(
            texts,
            prompt=instruction,
            batch_size=setting.batch_size or 32,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, np.float32), None, None


def measure(library: Library, setting: Setting, texts: list[str], instruction: str) -> Measurement:
    """Times one `encode` of all texts, tokenisation and the copy back to the host included."""
    clock = Clock()
    vectors, token_counts, padding = library.encode(setting, texts, instruction)
    return Measurement(*clock.read(), vectors, token_counts, padding)


def latencies(library: Library, setting: Setting, queries: list[str], instruction: str) -> Latencies:
    """Times each query alone, after a few that wake the threads."""
    for query in queries[:_WARM_QUERIES]:
        library.encode(setting, query, instruction)
    seconds = []
    clock = Clock()
    for query in queries:
        started = time.perf_counter()
        library.encode(setting, query, instruction)
        seconds.append(time.perf_counter() - started)
    return Latencies(seconds, clock.read()[2])


class Process:
    """A library in a fresh process; leaving the context ends it."""

    def __init__(self, library: Callable[..., Any], *arguments: Any):
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._name = getattr(library, "__name__", str(library))
        self._process = context.Process(target=_serve, args=(far, library, arguments), daemon=True)
        self._process.start()
        far.close()
        self.about: dict[str, Any] = self._answer()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function(library, *arguments)` in the process."""
        self._pipe.send((function, *arguments))
        return self._answer()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: object) -> None:
        self._pipe.close()  # the process sees the end of its calls
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()

    def _answer(self) -> Any:
        try:
            error, value = self._pipe.recv()
        except EOFError:
            self._process.join(timeout=10)
            raise RuntimeError(f"the process of {self._name} died, exit code {self._process.exitcode}.") from None
        if error:
            raise RuntimeError(f"{self._name} failed:\n{error}")
        return value


def _serve(pipe: Connection, library: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        loaded = library(*arguments)
        pipe.send((None, loaded.about))
        while True:
            function, *call = pipe.recv()
            pipe.send((None, function(loaded, *call)))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return
    except Exception:
        pipe.send((traceback.format_exc(), None))
