"""`LoadedModel`: a model's settings and its engine, however it was made: from a folder, other weights or a pickle.

Unpickling touches no device. The weights go to the receiving process's devices at the first use; so a model that
reaches a forked worker raises there, in the call, where its pool can report it.
"""

import dataclasses
import threading
from typing import Any, TypeVar

from instructor_jax.arguments import flag, model_name, optional_path, optional_text, whole_number
from instructor_jax.config import ModelConfig
from instructor_jax.inference.compute_options import ComputeOptions, compute_options
from instructor_jax.inference.engine import Engine
from instructor_jax.inference.pickled import Pickled, folder_here, options_here, pickled, portable
from instructor_jax.inference.processes import check_process
from instructor_jax.io.bounds import SIZE
from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.io.folders import open_params, read_folder
from instructor_jax.io.hub import resolve_model
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.nn.model import Params
from instructor_jax.text.buckets import PackingConfig
from instructor_jax.text.tokenization import Tokenizer

_RESTORING = threading.Lock()
Model = TypeVar("Model", bound="LoadedModel")


class LoadedModel:
    """A model with its weights on devices. Make one with `from_pretrained`; a pickled one needs no folder.

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

    def __init__(
        self,
        folder: Any,
        params: Any = None,
        *,
        dtype: Any = "float32",
        max_length: Any = None,
        devices: Any = None,
        tokens_per_call: Any = None,
        mesh: Any = None,
    ) -> None:
        check_process()
        self._options: ComputeOptions = compute_options(dtype, devices, tokens_per_call, mesh)
        if not isinstance(folder, ModelFolder):
            folder = read_folder(resolve_model(model_name("name_or_path", folder)))
        if max_length is not None:
            config = dataclasses.replace(folder.config, max_length=whole_number("max_length", max_length, 2, SIZE))
            folder = dataclasses.replace(folder, config=config)
        self.folder: ModelFolder = dataclasses.replace(folder, prompts=dict(folder.prompts))
        self._pickled: Pickled | None = None
        weights = open_params(folder) if params is None else params
        self._engine: Engine | None = Engine(self.folder, weights, self._options)

    @classmethod
    def from_pretrained(
        cls: type[Model],
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
        mesh: Any = None,
    ) -> Model:
        """Loads a model.

        Args:
            name_or_path: a folder (sentence-transformers' old or new layout, a plain T5 folder, our own), or a name on
                the Hugging Face hub such as "hkunlp/instructor-large"; without one, the small English model of the
                package, for trying out.
            revision: branch, tag or commit on the hub.
            cache_dir: the hub's cache; its own default otherwise.
            local_files_only: never ask the network.
            token: the hub's, for private models; `hf auth login` keeps one.
            dtype: of weights and computation, "float32" or "bfloat16"; norms, softmax, pooling and the vectors are
                float32 in either. CPUs without bfloat16 instructions compute with the rounded weights in float32.
                "auto" takes the fastest type of the device in which vectors keep a cosine of 0.999 with those of
                float32: bfloat16 on GPUs, TPUs and CPUs with the instruction set avx512_bf16, float32 on others.
            max_length: most tokens of instruction and text; the folder's own limit otherwise.
            devices: where to compute, as JAX devices or names ("cpu", "cuda:1"); all local devices otherwise, each with
                a full copy of the weights.
            tokens_per_call: size of the largest device call per device, in tokens.
            mesh: how the weights are split over the devices, by the rules of training, for models that one device has
                no room for: `{"fsdp": 4}` gives each of four a quarter of every weight, and texts of its own; "tensor"
                splits heads and feed-forward width of the same texts. A `MeshShape`, such a dictionary, or
                "fsdp=4,tensor=2"; devices that are left take other texts.

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
        compute = {"dtype": dtype, "devices": devices, "tokens_per_call": tokens_per_call, "mesh": mesh}
        model = cls.__new__(cls)  # a subclass may have a constructor with other arguments, as INSTRUCTOR has
        LoadedModel.__init__(model, read_folder(path), max_length=max_length, **compute)
        return model

    def __repr__(self) -> str:
        """Names the class, the folder, the dimensions and the type."""
        dimensions = f"{self.config.embedding_dim} dimensions"
        return f"{type(self).__name__}({str(self.folder.whole)!r}, {dimensions}, {self._options.dtype})"

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.folder.config

    @property
    def params(self) -> Params:
        """The weights on the host, as the nested dictionary that `instructor_jax.nn.model.embed` takes."""
        return self._ready().params

    @property
    def packing(self) -> PackingConfig:
        """How texts are packed into batches."""
        return self._ready().packing

    @property
    def tokenizer(self) -> Tokenizer:
        """What turns pairs into token ids: `instructor_jax.text.tokenization.Tokenizer`."""
        return self._ready().tokenizer

    def with_params(self: Model, params: Any) -> Model:
        """Returns the same model with other weights, as arrays on the host; compiled programs are shared.

        Raises:
            ValueError: the weights do not fit the configuration.
        """
        other = self.__copy__()
        other._engine = self._ready().with_params(params)
        return other

    def warmup(self) -> int:
        """Compiles every bucket, so that no later call for vectors compiles; returns how many there are."""
        return self._ready().warmup()

    # --- copies and pickles ------------------------------------------------------------------------------------------

    def __copy__(self: Model) -> Model:
        """Returns another model with settings of its own over the same weights and programs, which nothing changes."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.folder = dataclasses.replace(self.folder, prompts=dict(self.folder.prompts))
        return other

    def __deepcopy__(self: Model, memo: dict[int, Any]) -> Model:
        """Returns what `copy` returns: weights and programs never change."""
        return self.__copy__()

    def __getstate__(self) -> dict[str, Any]:
        """Returns everything but the devices, which belong to their process."""
        check_process()
        parts = self._pickled
        if self._engine is not None:
            parts = pickled(self.folder, self._engine.kept_params(), self._options)
        options = portable(self._options)
        return {**self.__dict__, "_engine": None, "_options": options, "_pickled": parts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes what `__getstate__` returned; the first use puts the weights in place."""
        self.__dict__.update(state)

    # --- what the other parts of an embedder build upon ---------------------------------------------------------------

    def _ready(self) -> Engine:
        """Returns the engine; that of a pickled model is made here, at the first use.

        Raises:
            RuntimeError: this process was forked from one that used JAX already.
            ValueError: JAX has no device here.
        """
        engine = self._engine
        if engine is not None:
            return engine
        check_process()
        with _RESTORING:
            if self._engine is None:
                assert self._pickled is not None
                parts = dataclasses.replace(self._pickled, folder=self.folder)  # settings may have changed since
                options, folder = options_here(parts), folder_here(parts)
                engine = Engine(folder, parts.params, options)
                self.folder, self._options = folder, options
                self._pickled, self._engine = None, engine
        return self._ready()

    def _reconfigure(self, **changes: Any) -> None:
        """Changes the configuration over the same weights and programs."""
        config = dataclasses.replace(self.folder.config, **changes)
        folder = dataclasses.replace(self.folder, config=config)
        self._engine = self._ready().with_limits_of(folder)
        self.folder = folder

    def _compute_with(self, options: ComputeOptions) -> None:
        """Computes in another type or on other devices."""
        if options != self._options:
            self._engine = Engine(self.folder, self._ready().kept_params(), options)
            self._options = options
