"""Folders of small models in every layout that was ever written, and ways to change one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import ml_dtypes
import numpy as np

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.io.weights.safetensors_files import write_safetensors
from instructor_jax.io.weights.tensor_files import read_tensors
from instructor_jax.nn.layers import Activation

from ..small_models import SMALL, UMT5, model_folder

Change = Callable[[Path], Any]

GATED = ModelConfig(
    EncoderConfig(vocab=600, embed=16, layers=2, heads=2, head_dim=4, ffn=24, activation="gelu_new", gated=True),
    normalize=False,
)
MT5 = ModelConfig(
    EncoderConfig(
        vocab=600, embed=16, layers=1, heads=3, head_dim=8, ffn=24, activation="gelu_new", gated=True, model_type="mt5"
    ),
    projection=7,
    normalize=False,
)
PLAIN = ModelConfig(SMALL.encoder, projection=None, normalize=False)
WITH_ACTIVATION = {
    name: ModelConfig(
        EncoderConfig(
            vocab=600, embed=16, layers=1, heads=2, head_dim=8, ffn=24, activation=cast(Activation, name), gated=gated
        ),
        normalize=True,
    )
    for name, gated in (("gelu", False), ("gelu_new", False), ("silu", True))
}
UMT5_WHOLE = ModelConfig(UMT5.encoder, projection=5)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def edited(name: str, **changes: Any) -> Change:
    """Sets keys of a JSON object; a value of `...` removes one."""

    def change(path: Path) -> None:
        content = {**(read(path / name) if (path / name).is_file() else {}), **changes}
        write(path / name, {key: value for key, value in content.items() if value is not ...})

    return change


def written(name: str, content: Any) -> Change:
    return lambda path: write(path / name, content)


def all_of(*changes: Change) -> Change:
    def change(path: Path) -> None:
        for one in changes:
            one(path)

    return change


def nothing(path: Path) -> None:
    """Leaves the folder as our own writer wrote it."""


# --- modules.json --------------------------------------------------------------------------------------------------

NEW_HOMES = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
    "Dropout": "sentence_transformers.sentence_transformer.modules.dropout.Dropout",
}


def kind_of(module: dict[str, Any]) -> str:
    return module["type"].rpartition(".")[2]


def types(naming: Callable[[str], str]) -> Change:
    def change(path: Path) -> None:
        listed = read(path / "modules.json")
        write(path / "modules.json", [{**module, "type": naming(kind_of(module))} for module in listed])

    return change


def order(*kinds: str) -> Change:
    """Lists these kinds of modules, each with its folder of before, or a new one."""

    def change(path: Path) -> None:
        folders = {kind_of(module): module["path"] for module in read(path / "modules.json")}
        listed = [
            {
                "idx": index,
                "name": str(index),
                "path": folders.pop(kind, f"{index}_{kind}"),
                "type": f"sentence_transformers.models.{kind}",
            }
            for index, kind in enumerate(kinds)
        ]
        write(path / "modules.json", listed)
        for module in listed[1:]:
            (path / module["path"]).mkdir(exist_ok=True)

    return change


def encoder_in(folder: str) -> Change:
    """Moves the encoder, its settings and its tokenizer into a folder of their own, as version 0.3 to 1 wrote them."""

    def change(path: Path) -> None:
        home = path / folder
        home.mkdir(parents=True)
        for file in [file for file in path.iterdir() if file.is_file()]:
            if file.name not in ("modules.json", "config_sentence_transformers.json"):
                shutil.move(file, home / file.name)
        listed = read(path / "modules.json")
        write(path / "modules.json", [{**listed[0], "path": folder}, *listed[1:]])

    return change


def moved(kind: str, folder: str) -> Change:
    """Renames the folder of a module."""

    def change(path: Path) -> None:
        listed = read(path / "modules.json")
        for module in listed:
            if kind_of(module) == kind:
                (path / folder).parent.mkdir(parents=True, exist_ok=True)
                (path / module["path"]).rename(path / folder)
                module["path"] = folder
        write(path / "modules.json", listed)

    return change


def saved_by_the_original(naming: str) -> Change:
    """Makes it the folder that `INSTRUCTOR.save` of InstructorEmbedding writes.

    With sentence-transformers 2.2.2, `SentenceTransformer.save` writes `type(module).__module__` for each module and
    the folder `{idx}_{type(module).__name__}`; `INSTRUCTOR_Pooling.save` its `config_keys`; `INSTRUCTOR_Transformer`
    is a Transformer, so that its folder is the model's own. This was compared with a folder which that code wrote.

    Args:
        naming: "module" for that; "class" with the class behind it, as later versions of sentence-transformers write;
            "repository" for the class names of the original's repository, which differ from those on PyPI.
    """
    transformer, pooling = {
        "module": ("", "INSTRUCTOR_Pooling"),
        "class": (".INSTRUCTOR_Transformer", "INSTRUCTOR_Pooling"),
        "repository": (".INSTRUCTORTransformer", "INSTRUCTORPooling"),
    }[naming]

    def change(path: Path) -> None:
        listed = read(path / "modules.json")
        listed[0]["type"] = f"InstructorEmbedding.instructor{transformer}"
        (path / "1_Pooling").rename(path / f"1_{pooling}")
        behind = "" if naming == "module" else f".{pooling}"
        listed[1] |= {"path": f"1_{pooling}", "type": f"InstructorEmbedding.instructor{behind}"}
        write(path / "modules.json", listed)
        keys = read(path / f"1_{pooling}" / "config.json")
        write(path / f"1_{pooling}" / "config.json", {key: keys[key] for key in keys if key != "include_prompt"})
        version = {"sentence_transformers": "2.2.2", "transformers": "4.20.0", "pytorch": "1.13.0"}
        write(path / "config_sentence_transformers.json", {"__version__": version})
        write(path / "sentence_bert_config.json", {"max_seq_length": 512, "do_lower_case": False})

    return change


# --- weights -------------------------------------------------------------------------------------------------------


def weights(how: str) -> Change:
    """Writes the encoder's weights again: another file format, type, or names."""

    def change(path: Path) -> None:
        arrays = {name: array.copy() for name, array in read_tensors(path).items()}
        (path / "model.safetensors").unlink()
        if how == "bin":
            _torch_save(path / "pytorch_model.bin", arrays)
        elif how == "bin sharded":
            _sharded(path, arrays, "pytorch_model-{}-of-00002.bin", "pytorch_model.bin.index.json", _torch_save)
        elif how == "sharded":
            _sharded(path, arrays, "model-{}-of-00002.safetensors", "model.safetensors.index.json", write_safetensors)
        elif how in ("float16", "bfloat16"):
            dtype = np.float16 if how == "float16" else ml_dtypes.bfloat16
            write_safetensors(path / "model.safetensors", {name: array.astype(dtype) for name, array in arrays.items()})
        elif how == "embedding twice":
            arrays["encoder.embed_tokens.weight"] = arrays["shared.weight"]
            write_safetensors(path / "model.safetensors", arrays)
        elif how == "embedding under its other name":
            arrays["encoder.embed_tokens.weight"] = arrays.pop("shared.weight")
            write_safetensors(path / "model.safetensors", arrays)
        elif how == "with a decoder":
            arrays["decoder.final_layer_norm.weight"] = np.ones(16, np.float32)
            arrays["decoder.embed_tokens.weight"] = arrays["shared.weight"] + 1
            write_safetensors(path / "model.safetensors", arrays)

    return change


def dense_in(how: str) -> Change:
    """Writes the projection's weight again, as PyTorch's own file or in half precision."""

    def change(path: Path) -> None:
        (folder,) = (path / module["path"] for module in read(path / "modules.json") if kind_of(module) == "Dense")
        arrays = {name: array.copy() for name, array in read_tensors(folder).items()}
        (folder / "model.safetensors").unlink()
        if how == "bin":
            _torch_save(folder / "pytorch_model.bin", arrays)
        else:
            half = {name: array.astype(np.float16) for name, array in arrays.items()}
            write_safetensors(folder / "model.safetensors", half)

    return change


def _torch_save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    import torch

    torch.save({name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}, path)


def _sharded(path: Path, arrays: dict[str, np.ndarray], name: str, index: str, save: Callable[..., None]) -> None:
    names = sorted(arrays)
    parts = {name.format("00001"): names[::2], name.format("00002"): names[1::2]}
    for file, held in parts.items():
        save(path / file, {key: arrays[key] for key in held})
    size = sum(array.nbytes for array in arrays.values())
    places = {key: file for file, held in parts.items() for key in held}
    write(path / index, {"metadata": {"total_size": size}, "weight_map": places})


def plain(path: Path) -> None:
    """Leaves the encoder and its tokenizer alone."""
    for module in read(path / "modules.json"):
        if module["path"]:
            shutil.rmtree(path / module["path"])
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (path / name).unlink()


def build(path: Path, config: ModelConfig, change: Change, **about: Any) -> Path:
    """Writes a folder and changes it."""
    folder = model_folder(path, config, **about)
    change(folder)
    return folder
