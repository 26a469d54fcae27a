"""Reading a model folder: sentence-transformers' layouts, the original package's, a plain encoder's folder, our own.

What the folder says is checked module by module and key by key, because a wrong guess here gives plausible but wrong
vectors: only ways to pool and functions that are known, only these modules in this order. Which keys are obeyed,
harmless or refused stands in one table per file: `settings/encoder.py` and the family's own (config.json),
`settings/modules.py` (modules.json and the modules), `settings/transformer.py` (sentence_bert_config.json) and
`settings/model.py` (config_sentence_transformers.json).
"""

import dataclasses
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.backbones.configuration import BackboneConfig, output_width
from instructor_jax.backbones.registry import backbone_of, titles
from instructor_jax.backbones.weight_names import dense_weight
from instructor_jax.config import DenseShape, ModelConfig
from instructor_jax.io.json_files import read_json
from instructor_jax.io.model_folder import CHAT_TEMPLATES, PROCESSOR_FILES, ModelFolder
from instructor_jax.io.own_folder import OWN_CONFIG, read_own_config, read_own_params, read_ranges
from instructor_jax.io.settings.encoder import is_causal_model
from instructor_jax.io.settings.family import read_encoder_config
from instructor_jax.io.settings.model import MODEL_SETTINGS, read_model_settings
from instructor_jax.io.settings.modules import MODULES_FILE, Module, read_modules
from instructor_jax.io.settings.transformer import SETTINGS_FILES, max_length
from instructor_jax.io.settings.vector_modules import check_dropout, check_normalize, read_dense, read_pooling
from instructor_jax.io.weights.adapters import merged, refuse_lone_adapter
from instructor_jax.io.weights.names import PROJECTION, check_params, params_from_torch, same_bits, stored_params
from instructor_jax.io.weights.prefixes import plain_names
from instructor_jax.io.weights.stored_arrays import release_pages
from instructor_jax.io.weights.tensor_files import find_weights, read_tensors

logger: logging.Logger = logging.getLogger(__name__)

# The order of modules that can be computed, apart from Dropout, which does nothing outside of training.
_ORDER = re.compile("Transformer Pooling( Dense)*( Normalize)?")


def read_folder(path: Path) -> ModelFolder:
    """Reads a folder's configuration files.

    Raises:
        ValueError: files are broken, or describe a model that this library would compute wrongly.
        OSError: a file is missing.
    """
    refuse_lone_adapter(encoder_folder(path))
    if (path / OWN_CONFIG).is_file():
        folder = ModelFolder(path, read_own_config(path))
    elif (path / MODULES_FILE).is_file():
        folder = _sentence_transformers_folder(path)
    elif (path / "config.json").is_file():
        folder = ModelFolder(path, _plain_config(path))
    else:
        raise ValueError(
            f"{path} is not a model folder: it has none of {OWN_CONFIG}, modules.json (sentence-transformers) and "
            f"config.json ({titles()})."
        )
    about = read_model_settings(path, folder.config.embedding_dim)
    return dataclasses.replace(
        folder,
        prompts=about.prompts,
        default_prompt_name=about.default_prompt_name,
        similarity_fn_name=about.similarity,
        int8_ranges=read_ranges(path),
    )


def encoder_folder(path: Path) -> Path:
    """Returns where a model's encoder lies: the folder itself, or the one that its modules.json names.

    Raises:
        ValueError: modules.json is broken or not supported.
        OSError: it cannot be read.
    """
    if (path / OWN_CONFIG).is_file() or not (path / MODULES_FILE).is_file():
        return path
    return path / next((module.path for module in read_modules(path) if module.kind == "Transformer"), "")


def read_params(folder: ModelFolder) -> dict[str, Any]:
    """The folder's weights as our nested parameters, in their dtype on disk.

    Raises:
        ValueError: an unreadable file, or a name or shape that does not fit the configuration.
    """
    if (folder.path / OWN_CONFIG).is_file():
        return _own_params(folder)
    return params_from_torch(folder.config, read_torch_arrays(folder))


def open_params(folder: ModelFolder) -> dict[str, Any]:
    """The same parameters, as arrays that stay in PyTorch's files until each of them is needed.

    Raises:
        ValueError: an unreadable file, or a name or shape that does not fit the configuration.
    """
    if (folder.path / OWN_CONFIG).is_file():
        return _own_params(folder)
    arrays = read_torch_arrays(folder)
    params = stored_params(folder.config, arrays)
    for array in arrays.values():  # what checks have read
        release_pages(array)
    return params


def _own_params(folder: ModelFolder) -> dict[str, Any]:
    params = read_own_params(folder.path)
    check_params(folder.config, params)
    return params


def read_torch_arrays(folder: ModelFolder) -> dict[str, np.ndarray]:
    """The arrays of a PyTorch folder by name, the projection's under `projection.weight`, other layers' likewise."""
    if find_weights(folder.path) is None:
        raise ValueError(f"{folder.path} has no weights: model.safetensors or pytorch_model.bin (or shards) is needed.")
    names = backbone_of(folder.config.encoder).weights
    arrays = merged(folder.path, plain_names(read_tensors(folder.path), folder.path, names), names)
    for name, (place, stored) in _dense_places(folder).items():
        if name in arrays and find_weights(place) is None:
            continue  # the whole model lies in one file
        weight = _dense_weights(folder, place)[stored]
        if not same_bits(arrays.setdefault(name, weight), weight):
            raise ValueError(f"{folder.path} has another projection in its weights than in {place}; remove one.")
    return arrays


def dense_weights(folder: ModelFolder) -> dict[str, np.ndarray]:
    """The weights of a sentence-transformers folder's Dense modules, under the names of our tables."""
    return {name: _dense_weights(folder, place)[stored] for name, (place, stored) in _dense_places(folder).items()}


def _dense_places(folder: ModelFolder) -> dict[str, tuple[Path, str]]:
    """The folder of each dense weight, and what it is called there, by the names of our tables."""
    config, places = folder.config, {}
    if len(folder.dense) != len(config.dense) + (config.projection is not None):
        raise ValueError(f"{folder.whole} has no Dense module, in which the projection's weight would lie.")
    for index, shape in enumerate(config.dense):
        for part in ("weight", "bias") if shape.bias else ("weight",):
            places[dense_weight(index, part)] = (folder.dense[index], f"linear.{part}")
    if config.projection is not None:
        places[PROJECTION] = (folder.dense[-1], "linear.weight")
    return places


def _dense_weights(folder: ModelFolder, place: Path) -> dict[str, np.ndarray]:
    wanted = {stored for where, stored in _dense_places(folder).values() if where == place}
    weights = read_tensors(place)
    if set(weights) != wanted:
        listed = " and ".join(sorted(wanted, reverse=True))
        raise ValueError(f"{place} must hold exactly {listed}; it holds {', '.join(sorted(weights)) or 'none'}.")
    return weights


# --- sentence-transformers -----------------------------------------------------------------------------------------


def _sentence_transformers_folder(root: Path) -> ModelFolder:
    modules = read_modules(root)
    transformer, pooling, *rest = _in_order(root, modules)
    encoder_path = root / transformer.path
    content = read_json(encoder_path / "config.json")
    encoder = read_encoder_config(content, encoder_path / "config.json")
    _refuse_processors(encoder_path, encoder)
    dense = tuple(root / module.path for module in rest if module.kind == "Dense")
    layers, projection = _dense_layers(dense, output_width(encoder))
    pools, instruction_too = read_pooling(root / pooling.path / "config.json", output_width(encoder))
    config = ModelConfig(
        encoder,
        projection=projection,
        normalize=any(module.kind == "Normalize" for module in rest),
        max_length=max_length(encoder_path, content, with_modules=True),
        pool_instruction=backbone_of(encoder).pools_instruction if instruction_too is None else instruction_too,
        pooling=pools,
        dense=layers,
    )
    for module in modules:
        check = {"Normalize": check_normalize, "Dropout": check_dropout}.get(module.kind)
        if check is not None:
            check(root / module.path / "config.json")
    if instruction_too and not backbone_of(encoder).pools_instruction:
        logger.warning("%s says include_prompt: true, so instructions are pooled like text", root)
    return ModelFolder(encoder_path, config, root=root if encoder_path != root else None, dense=dense)


def _dense_layers(places: tuple[Path, ...], width: int) -> tuple[tuple[DenseShape, ...], int | None]:
    """Reads Dense modules; returns the layers, and the size of the projection that the last one may be."""
    layers: list[DenseShape] = []
    for place in places:
        layers.append(read_dense(place / "config.json", layers[-1].size if layers else width))
    if layers and layers[-1].is_projection:
        return tuple(layers[:-1]), layers[-1].size
    return tuple(layers), None


def _in_order(root: Path, modules: list[Module]) -> list[Module]:
    """Returns the modules that compute something, without a Normalize after another one, which changes nothing."""
    kept: list[Module] = []
    for module in modules:
        again = module.kind == "Normalize" and bool(kept) and kept[-1].kind == "Normalize"
        if module.kind != "Dropout" and not again:
            kept.append(module)
    if not _ORDER.fullmatch(" ".join(module.kind for module in kept)) or modules[0].kind != "Transformer":
        raise ValueError(
            f"{root / MODULES_FILE} lists {', '.join(module.kind for module in modules)}; supported is Transformer, "
            "Pooling, optionally Dense (once or several times) and Normalize, in this order."
        )
    return kept


# --- a plain encoder -----------------------------------------------------------------------------------------------


def _plain_config(path: Path) -> ModelConfig:
    """Reads an encoder alone: the mean of the text tokens' states, or of a causal language model the last one's."""
    _refuse_files(path, CHAT_TEMPLATES, "which makes transformers read texts another way")
    _refuse_files(
        path,
        (*SETTINGS_FILES, MODEL_SETTINGS),
        "which belongs to a model of sentence-transformers, but no modules.json; copy the folder whole",
    )
    content = read_json(path / "config.json")
    encoder = read_encoder_config(content, path / "config.json")
    _refuse_processors(path, encoder)
    length = max_length(path, content, with_modules=False)
    return ModelConfig(
        encoder,
        projection=None,
        normalize=False,
        max_length=length if encoder.positions is None else min(length, encoder.positions),
        pool_instruction=backbone_of(encoder).pools_instruction,
        pooling="lasttoken" if is_causal_model(content) else "mean",
    )


def _refuse_processors(path: Path, encoder: BackboneConfig) -> None:
    """Refuses files of images and audio, which a multimodal family may have."""
    if not backbone_of(encoder).multimodal:
        _refuse_files(path, PROCESSOR_FILES, "which makes transformers read texts another way")


def _refuse_files(path: Path, names: tuple[str, ...], rule: str) -> None:
    found = next((name for name in names if (path / name).exists()), None)
    if found is not None:
        raise ValueError(f"{path} has {found}, {rule}.")
