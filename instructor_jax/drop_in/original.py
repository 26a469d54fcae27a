"""`INSTRUCTOR`: the class of InstructorEmbedding 1.0.1 under its own name and signature, for code that calls it."""

from pathlib import Path
from typing import Any

from instructor_jax.arguments import flag, model_name, optional_path, optional_text
from instructor_jax.embedder import Instructor
from instructor_jax.inference.devices import chosen_devices
from instructor_jax.io.folders import read_folder
from instructor_jax.io.hub import resolve_model
from instructor_jax.io.printable import shown

# Settings for transformers' loaders. Those with a name here are obeyed; those with None make no difference to the
# vectors of this library; every other one is refused.
_MODEL_SETTINGS = {
    "dtype": "dtype",
    "torch_dtype": "dtype",
    "device_map": None,  # all devices are used, each with a copy
    "attn_implementation": None,  # of the same function
    "low_cpu_mem_usage": None,
    "use_safetensors": None,  # safetensors are preferred, other files are read without running anything in them
    "trust_remote_code": None,
}
_TOKENIZER_SETTINGS = {
    "model_max_length": "max_length",
    "use_fast": None,  # of the same tokens
    "padding_side": None,  # nothing is padded
    "trust_remote_code": None,
}


class INSTRUCTOR(Instructor):
    """`Instructor` with the constructor of InstructorEmbedding 1.0.1, and of sentence-transformers since.

    Args:
        model_name_or_path: a folder, or a name on the Hugging Face hub such as "hkunlp/instructor-large".
        modules: PyTorch modules cannot be used here.
        device: "cpu", "cuda", "cuda:1", "tpu"; all of JAX's default devices if None.
        cache_folder: the hub's cache; its own default otherwise.
        use_auth_token: the older name of `token`.
        token: the hub's, for private models.
        prompts: named instructions, in the place of the folder's.
        default_prompt_name: the one of plain strings where none is given.
        trust_remote_code: taken, and never made use of: no code of a model is run.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the network.
        model_kwargs: `dtype` or `torch_dtype` is obeyed; what would change the vectors otherwise is refused.
        tokenizer_kwargs: `model_max_length` is obeyed, likewise.
        processor_kwargs: the newer name of `tokenizer_kwargs`.
        config_kwargs: refused, unless empty.
        model_card_data: kept as the attribute of that name.
        backend: "torch" is taken, since it is sentence-transformers' default; the backend here is JAX.
        similarity_fn_name: what `similarity` computes.
        truncate_dim: dimensions that `encode` keeps.
        dtype: see `Instructor`.
        max_length: see `Instructor`.
        devices: see `Instructor`; instead of `device`.
        tokens_per_call: see `Instructor`.
        mesh: see `Instructor`.

    Raises:
        ValueError: no such model or device, or an option that cannot be obeyed.
        OSError: the hub does not know the model or cannot be reached.
    """

    def __init__(
        self,
        model_name_or_path: Any = None,
        modules: Any = None,
        device: Any = None,
        cache_folder: Any = None,
        use_auth_token: Any = None,
        *,
        token: Any = None,
        prompts: Any = None,
        default_prompt_name: Any = None,
        trust_remote_code: Any = False,
        revision: Any = None,
        local_files_only: Any = False,
        model_kwargs: Any = None,
        tokenizer_kwargs: Any = None,
        processor_kwargs: Any = None,
        config_kwargs: Any = None,
        model_card_data: Any = None,
        backend: Any = "torch",
        similarity_fn_name: Any = None,
        truncate_dim: Any = None,
        dtype: Any = "float32",
        max_length: Any = None,
        devices: Any = None,
        tokens_per_call: Any = None,
        mesh: Any = None,
    ) -> None:
        _refuse_torch(modules, backend, config_kwargs)
        flag("trust_remote_code", trust_remote_code)
        model = _obeyed("model_kwargs", model_kwargs, _MODEL_SETTINGS)
        tokenizer = {
            **_obeyed("tokenizer_kwargs", tokenizer_kwargs, _TOKENIZER_SETTINGS),
            **_obeyed("processor_kwargs", processor_kwargs, _TOKENIZER_SETTINGS),
        }
        path = resolve_model(
            model_name("model_name_or_path", model_name_or_path),
            revision=optional_text("revision", revision),
            cache_dir=optional_path("cache_folder", cache_folder),
            local_files_only=flag("local_files_only", local_files_only),
            token=_one("token", token, "use_auth_token", use_auth_token),
        )
        where = _one("device", device, "devices", devices)
        super().__init__(
            read_folder(Path(path)),
            dtype=model.get("dtype") or dtype,
            max_length=tokenizer.get("max_length") if max_length is None else max_length,
            devices=None if where is None else chosen_devices(where, "device" if devices is None else "devices"),
            tokens_per_call=tokens_per_call,
            mesh=mesh,
        )
        if prompts is not None:
            self.prompts = prompts
        if default_prompt_name is not None:
            self.default_prompt_name = default_prompt_name
        if model_card_data is not None:
            self.model_card_data = model_card_data
        if similarity_fn_name is not None:
            self.similarity_fn_name = similarity_fn_name
        self.truncate_dim = truncate_dim

    @classmethod
    def load(cls, input_path: Any) -> "INSTRUCTOR":
        """The older way to open a folder."""
        return cls(input_path)


def _refuse_torch(modules: Any, backend: Any, config_kwargs: Any) -> None:
    if modules is not None:
        raise ValueError(
            f"modules={shown(modules)}: PyTorch modules cannot be computed with here; save the model with "
            "sentence-transformers and give the folder as model_name_or_path."
        )
    if backend not in ("torch", "jax", None):
        raise ValueError(f"backend={shown(backend)} is not offered: this library computes with JAX; leave it out.")
    if config_kwargs:
        raise ValueError(
            f"config_kwargs={shown(config_kwargs)} cannot be obeyed: the model's shape is what its config.json says; "
            "change it there."
        )


def _obeyed(name: str, settings: Any, known: dict[str, str | None]) -> dict[str, Any]:
    """Of the settings those that are obeyed, under our names.

    Raises:
        ValueError: one of them would change the vectors, and cannot be obeyed.
    """
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ValueError(f"{name}={shown(settings)} must be a dictionary, not a {type(settings).__name__}.")
    unknown = [key for key in settings if key not in known]
    if unknown:
        raise ValueError(
            f"{name} has {shown(unknown[0])}, which cannot be obeyed here; known are {', '.join(known)}. Leave it out."
        )
    return {str(known[key]): value for key, value in settings.items() if known[key] and value is not None}


def _one(name: str, value: Any, other_name: str, other: Any) -> Any:
    if value is not None and other is not None:
        raise ValueError(f"{name}={shown(value)} and {other_name}={shown(other)} are given; give one of them.")
    return other if value is None else value
