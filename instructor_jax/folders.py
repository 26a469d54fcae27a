"""Reading a model folder: sentence-transformers' old and new layout, a plain T5 folder, or our own Orbax folder.

What the folder says is checked module by module, because a wrong guess here gives plausible but wrong vectors: only
mean pooling, only a bias-free projection without activation, only these modules in this order.
"""

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.config import EncoderConfig, ModelConfig, encoder_config_from_t5
from instructor_jax.io.json_files import read_json
from instructor_jax.tensor_files import find_weights, read_tensors
from instructor_jax.weights import PROJECTION, check_params, params_from_torch

logger = logging.getLogger(__name__)

OWN_CONFIG = "instructor_jax.json"
OWN_PARAMS = "params"
FORMAT_VERSION = 1
RANGES = "int8_ranges.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
)


@dataclasses.dataclass(frozen=True)
class ModelFolder:
    """Everything a folder says about a model, weights aside.

    Attributes:
        path: the folder.
        config: the model's shape.
        prompts: sentence-transformers' named instructions.
        default_prompt_name: the one used when none is given.
        int8_ranges: calibrated ranges [2, dim] by number of dimensions.
    """

    path: Path
    config: ModelConfig
    prompts: dict[str, str] = dataclasses.field(default_factory=dict)
    default_prompt_name: str | None = None
    int8_ranges: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)


def read_folder(path: Path) -> ModelFolder:
    """Reads a folder's configuration files.

    Raises:
        ValueError: files are broken, or describe a model that this library would compute wrongly.
        OSError: a file is missing.
    """
    if (path / OWN_CONFIG).is_file():
        config = _own_config(path)
    elif (path / "modules.json").is_file():
        config = _sentence_transformers_config(path)
    elif (path / "config.json").is_file():
        encoder = encoder_config_from_t5(read_json(path / "config.json"))
        config = ModelConfig(encoder, projection=None, normalize=False, max_length=_max_length(path))
    else:
        raise ValueError(
            f"{path} is not a model folder: it has none of {OWN_CONFIG}, modules.json (sentence-transformers) and "
            "config.json (T5)."
        )
    prompts, default = _prompts(path)
    return ModelFolder(path, config, prompts, default, _ranges(path))


def read_params(folder: ModelFolder) -> dict[str, Any]:
    """The folder's weights as our nested parameters, in their dtype on disk.

    Raises:
        ValueError: an unreadable file, or a name or shape that does not fit the configuration.
    """
    if (folder.path / OWN_CONFIG).is_file():
        return _own_params(folder)
    return params_from_torch(folder.config, read_torch_arrays(folder))


def read_torch_arrays(folder: ModelFolder) -> dict[str, np.ndarray]:
    """The arrays of a PyTorch folder by name, the projection's under `projection.weight`."""
    if find_weights(folder.path) is None:
        raise ValueError(f"{folder.path} has no weights: model.safetensors or pytorch_model.bin (or shards) is needed.")
    arrays = dict(read_tensors(folder.path))
    if folder.config.projection is not None:
        arrays[PROJECTION] = projection_weights(folder)
    return arrays


def projection_weights(folder: ModelFolder) -> np.ndarray:
    """The weight [out, in] of a sentence-transformers folder's Dense module."""
    dense = _module_folder(folder.path, "Dense")
    weights = read_tensors(dense)
    if set(weights) != {"linear.weight"}:
        raise ValueError(f"{dense} must hold exactly linear.weight; it holds {', '.join(sorted(weights)) or 'none'}.")
    return weights["linear.weight"]


# --- sentence-transformers -----------------------------------------------------------------------------------------


def _modules(path: Path) -> list[tuple[str, Path]]:
    """(class name, folder) of each module; version 6 renamed the classes' modules, not the classes."""
    try:
        modules = json.loads((path / "modules.json").read_text(encoding="utf-8"))
        return [(module["type"].rpartition(".")[2], path / module["path"]) for module in modules]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path / 'modules.json'} is not a list of sentence-transformers modules: {error}.") from error


def _module_folder(path: Path, kind: str) -> Path:
    return next(folder for name, folder in _modules(path) if name == kind)


def _sentence_transformers_config(path: Path) -> ModelConfig:
    modules = _modules(path)
    kinds = tuple(kind for kind, _ in modules)
    if kinds not in (
        ("Transformer", "Pooling"),
        ("Transformer", "Pooling", "Normalize"),
        ("Transformer", "Pooling", "Dense"),
        ("Transformer", "Pooling", "Dense", "Normalize"),
    ):
        raise ValueError(
            f"{path / 'modules.json'} lists {', '.join(kinds)}; supported is Transformer, Pooling, optionally Dense "
            "and Normalize, in this order."
        )
    if modules[0][1].resolve() != path.resolve():
        raise ValueError(f"the Transformer module of {path} lies in {modules[0][1]}; supported is the folder itself.")
    encoder = encoder_config_from_t5(read_json(path / "config.json"))
    projection = _projection(read_json(modules[2][1] / "config.json"), encoder, path) if "Dense" in kinds else None
    return ModelConfig(
        encoder,
        projection=projection,
        normalize="Normalize" in kinds,
        max_length=_max_length(path),
        pool_instruction=_pools_instruction(read_json(modules[1][1] / "config.json"), path),
    )


def _pools_instruction(pooling: dict[str, Any], path: Path) -> bool:
    """Checks that pooling is the mean; tells whether the folder itself asks to pool the instruction too."""
    modes = [key for key, value in pooling.items() if key.startswith("pooling_mode_") and value is True]
    mode = pooling.get("pooling_mode", modes[0].removeprefix("pooling_mode_") if len(modes) == 1 else modes)
    if mode not in ("mean", "mean_tokens"):
        raise ValueError(f"{path} pools by {mode!r}; supported is the mean.")
    if pooling.get("include_prompt") is True:
        logger.warning("%s says include_prompt: true, so instructions are pooled like text", path)
        return True
    return False


def _projection(dense: dict[str, Any], encoder: EncoderConfig, path: Path) -> int:
    activation = str(dense.get("activation_function", "torch.nn.modules.activation.Tanh")).rpartition(".")[2]
    if dense.get("bias", True) or activation != "Identity":
        raise ValueError(
            f"the Dense module of {path} has bias={dense.get('bias', True)}, activation {activation}; supported is a "
            "bias-free projection without activation."
        )
    read, given = dense.get("in_features"), dense.get("out_features")
    if read != encoder.embed:
        raise ValueError(f"the Dense module of {path} reads {read} values, T5 gives {encoder.embed}.")
    if not isinstance(given, int):
        raise ValueError(f"the Dense module of {path} has out_features={given!r}, not a number.")
    return given


def _max_length(path: Path) -> int:
    """Tokens a text may have: sentence-transformers' setting, else the tokenizer's, else T5's 512."""
    for file, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        content = read_json(path / file) if (path / file).is_file() else {}
        if content.get("do_lower_case"):
            raise ValueError(f"{path / file} asks for lower-cased text, which T5 models do not use; not supported.")
        value = content.get(key)
        if isinstance(value, int) and 2 <= value <= 1_000_000:  # transformers writes 1e30 for "no limit"
            return value
    return 512


def _prompts(path: Path) -> tuple[dict[str, str], str | None]:
    file = path / "config_sentence_transformers.json"
    content = read_json(file) if file.is_file() else {}
    prompts, default = content.get("prompts") or {}, content.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(prompt, str) for prompt in prompts.values()):
        raise ValueError(f"prompts in {file} must be an object of strings by name.")
    if default is not None and default not in prompts:
        raise ValueError(f"default_prompt_name={default!r} in {file} is none of its prompts ({', '.join(prompts)}).")
    return prompts, default


def _ranges(path: Path) -> dict[int, np.ndarray]:
    stored = read_json(path / RANGES) if (path / RANGES).is_file() else {}
    try:
        ranges = {int(dim): np.asarray(value, np.float32) for dim, value in stored.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path / RANGES} does not hold numbers by dimension: {error}.") from error
    for dim, value in ranges.items():
        if value.shape != (2, dim):
            raise ValueError(f"{path / RANGES} has shape {value.shape} for {dim} dimensions; expected is {(2, dim)}.")
    return ranges


# --- our own folder ------------------------------------------------------------------------------------------------


def _own_config(path: Path) -> ModelConfig:
    content = read_json(path / OWN_CONFIG)
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(f"{path} has format version {version}; this library reads {FORMAT_VERSION}. Upgrade it.")
    try:
        model = dict(content["model"])
        return ModelConfig(**{**model, "encoder": EncoderConfig(**model["encoder"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path / OWN_CONFIG} does not describe a model: {error}.") from error


def import_orbax() -> Any:
    """The library that keeps our own folders' weights; an `ImportError` that names the extra where it is absent."""
    try:
        import orbax.checkpoint as ocp
    except ImportError as error:
        raise ImportError("folders with Orbax weights need Orbax: pip install 'instructor-jax[train]'") from error
    return ocp


def _own_params(folder: ModelFolder) -> dict[str, Any]:
    ocp = import_orbax()
    path = (folder.path / OWN_PARAMS).resolve()
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            restored = checkpointer.restore(path)
    except Exception as error:  # Orbax and TensorStore raise many kinds
        raise ValueError(f"{path} is not a readable Orbax checkpoint: {error}.") from error
    params = _as_numpy(restored)
    check_params(folder.config, params)
    return params


def _as_numpy(tree: Any) -> Any:
    return {key: _as_numpy(value) for key, value in tree.items()} if isinstance(tree, dict) else np.asarray(tree)
