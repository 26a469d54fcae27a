"""Writing a model folder: sentence-transformers' layout with the right pooling, or our own with an Orbax checkpoint.

The folder appears under its name only when it is complete: it is written beside and renamed.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from instructor_jax.backbones.registry import backbone_of
from instructor_jax.io.json_files import read_json
from instructor_jax.io.model_folder import TOKENIZER_FILES, ModelFolder
from instructor_jax.io.own_folder import FORMAT_VERSION, OWN_CONFIG, OWN_PARAMS, RANGES, import_orbax
from instructor_jax.io.printable import one_line
from instructor_jax.io.remote_places import refuse_remote
from instructor_jax.io.settings.model import MODEL_SETTINGS
from instructor_jax.io.settings.transformer import TOKENIZER_SETTINGS
from instructor_jax.io.settings.written_modules import dense_modules, pooling_settings
from instructor_jax.io.weights.names import check_params, params_to_torch, torch_shapes
from instructor_jax.io.weights.pieces import Piece
from instructor_jax.io.weights.safetensors_files import write_safetensors
from instructor_jax.io.weights.safetensors_stream import SafetensorsStream
from instructor_jax.version import __version__

_MODULES = "sentence_transformers.models."
_PROCESSOR = "processor_class"  # in a tokenizer's settings


def write_sentence_transformers(target: Path, folder: ModelFolder, params: dict[str, Any]) -> None:
    """Writes a folder that sentence-transformers opens, pooling as we do (`include_prompt: false`, from 2.4 on).

    The projection's weight is a safetensors file, as everything else; versions before 3.1 look for a `.bin` there.

    Args:
        target: where; must not exist, or be an empty folder.
        folder: configuration and prompts; its `path` is where the tokenizer's files are copied from.
        params: the weights, written in their dtype. Of float16 ones the folder says that they are computed with in
            float32: activations overflow in float16, and transformers would take the type that it finds.

    Raises:
        ValueError: the target is not empty, or the weights do not fit the configuration.
        OSError: it cannot be written; nothing is left then.
    """
    config = folder.config
    arrays = params_to_torch(config, params)
    half = any(array.dtype == np.float16 for array in arrays.values())
    dense = dense_modules(config)
    behind = [{stored: arrays.pop(name) for stored, name in module.names.items()} for module in dense]
    with appearing_folder(target) as draft:
        _write_all_but_weights(draft, folder, half)
        write_safetensors(draft / "model.safetensors", arrays)
        for module, weights in zip(dense, behind, strict=True):
            write_safetensors(draft / module.place / "model.safetensors", weights)


def write_in_pieces(target: Path, folder: ModelFolder, found: Iterable[Piece], dtype: Any) -> None:
    """Writes the same folder from weights that come piece by piece, each written as it comes, in one dtype.

    Args:
        target: where; must not exist, or be an empty folder.
        folder: configuration and prompts; its `path` is where the tokenizer's files are copied from.
        found: all pieces of the model, in any order.
        dtype: what they are written in.

    Raises:
        ValueError: the target is not empty, or the pieces are not those of the configuration.
        OSError: it cannot be written; nothing is left then.
    """
    shapes = torch_shapes(folder.config)
    kind = np.dtype(dtype)
    dense = dense_modules(folder.config)
    behind = [{stored: shapes.pop(name) for stored, name in module.names.items()} for module in dense]
    with appearing_folder(target) as draft, contextlib.ExitStack() as files:
        _write_all_but_weights(draft, folder, kind == np.float16)
        encoder = files.enter_context(SafetensorsStream(draft / "model.safetensors", shapes, kind))
        places: dict[str, tuple[SafetensorsStream, str]] = {}
        for module, wanted in zip(dense, behind, strict=True):
            stream = files.enter_context(SafetensorsStream(draft / module.place / "model.safetensors", wanted, kind))
            places |= {name: (stream, stored) for stored, name in module.names.items()}
        for piece in found:
            stream, stored = places.get(piece.torch_name, (encoder, piece.torch_name))
            stream.write(stored, piece.for_torch(kind))


def _write_all_but_weights(draft: Path, folder: ModelFolder, half: bool) -> None:
    """Writes sentence-transformers' settings of a model and its tokenizer; `half` says that its weights are float16."""
    config = folder.config
    settings = backbone_of(config.encoder).write_config(config.encoder)
    if half:
        settings |= {"dtype": "float32", "torch_dtype": "float32"}  # transformers 5's name, and that of those before
    dense = dense_modules(config)
    kinds = ["Transformer", "Pooling"] + ["Dense"] * len(dense) + ["Normalize"] * config.normalize
    names = ["" if index == 0 else f"{index}_{kind}" for index, kind in enumerate(kinds)]
    _write_json(draft / "config.json", settings)
    modules = [
        {"idx": index, "name": str(index), "path": name, "type": _MODULES + kind}
        for index, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    _write_json(draft / "modules.json", modules)
    _write_json(draft / "sentence_bert_config.json", {"max_seq_length": config.max_length, "do_lower_case": False})
    _write_json(draft / MODEL_SETTINGS, {"__version__": {}, **_about(folder)})
    _write_json(_made(draft / "1_Pooling") / "config.json", pooling_settings(config))
    for module in dense:
        _write_json(_made(draft / module.place) / "config.json", module.settings)
    if config.normalize:
        _made(draft / names[-1])
    copy_tokenizer(folder.path, draft)
    _write_ranges(draft, folder)


def write_own(target: Path, folder: ModelFolder, params: dict[str, Any]) -> None:
    """Writes our own folder: `instructor_jax.json` (with a format version) and an Orbax checkpoint of the weights.

    Args:
        target: where; must not exist, or be an empty folder.
        folder: configuration and prompts; its `path` is where the tokenizer's files are copied from.
        params: the weights, written in their dtype.

    Raises:
        ValueError: the target is not empty, or the weights do not fit the configuration.
        OSError: it cannot be written; nothing is left then.
        ImportError: Orbax is not installed.
    """
    ocp = import_orbax()
    check_params(folder.config, params)
    with appearing_folder(target) as draft:
        _write_own_settings(draft, folder)
        try:
            with ocp.StandardCheckpointer() as checkpointer:
                checkpointer.save((draft / OWN_PARAMS).resolve(), jax.tree.map(np.asarray, params))
        except Exception as error:  # Orbax and TensorStore raise many kinds where a file cannot be written
            raise OSError(f"Orbax: {one_line(str(error) or type(error).__name__, 300)}") from error


def write_without_weights(target: Path, folder: ModelFolder) -> None:
    """Writes our own folder without its weights: what a run keeps beside its checkpoints, so that each is a model.

    Args:
        target: where; must not exist, or be an empty folder.
        folder: configuration and prompts; its `path` is where the tokenizer's files are copied from.

    Raises:
        ValueError: the target is not empty.
        OSError: it cannot be written; nothing is left then.
    """
    with appearing_folder(target) as draft:
        _write_own_settings(draft, folder)


def _write_own_settings(draft: Path, folder: ModelFolder) -> None:
    content = {"format_version": FORMAT_VERSION, "written_by": f"instructor-jax {__version__}"}
    _write_json(draft / OWN_CONFIG, {**content, "model": dataclasses.asdict(folder.config)})
    _write_json(draft / MODEL_SETTINGS, _about(folder))
    copy_tokenizer(folder.path, draft)
    _write_ranges(draft, folder)


def check_target(target: Path) -> None:
    """Raises a `ValueError` where a folder could not be written: a URL, or something is there already."""
    refuse_remote("folder", target)
    if target.is_symlink():
        raise ValueError(f"{target} is a symbolic link, which a new folder would replace; name what it points to.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} exists and is not an empty folder; choose another name or remove it.")


def _about(folder: ModelFolder) -> dict[str, Any]:
    return {
        "prompts": folder.prompts,
        "default_prompt_name": folder.default_prompt_name,
        "similarity_fn_name": folder.similarity_fn_name or "cosine",
    }


@contextlib.contextmanager
def appearing_folder(target: Path) -> Iterator[Path]:
    """Gives a draft folder beside the target that takes its name at the end, or vanishes on an error.

    The draft's name is drawn and the folder made in one step that fails where anything of that name is, a planted link
    included; nobody else can write into it before it is complete.

    Raises:
        ValueError: something is there already.
        OSError: the folder cannot be written (no space, no right); nothing is left, new parents neither.
    """
    check_target(target)
    target = Path(os.path.abspath(target))
    made: list[Path] = []
    draft: Path | None = None
    try:
        for parent in [*reversed(target.parents)]:
            if not parent.is_dir():
                parent.mkdir(exist_ok=True)
                made.append(parent)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=target.parent))
        yield draft
        draft.chmod(0o755)  # mkdtemp makes it private
        os.replace(draft, target)
        made.clear()
    except OSError as error:
        inside = draft is not None and str(draft) in str(error.filename)
        place = f" ({error.filename})" if error.filename and not inside else ""
        raise OSError(f"{target} cannot be written: {error.strerror or error}{place}.") from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
        for parent in reversed(made):
            with contextlib.suppress(OSError):  # somebody else may have put something there
                parent.rmdir()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copies the tokenizer's files of a model's folder; others are left, and nothing names a processor among them."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    settings = target / TOKENIZER_SETTINGS
    content = read_json(settings) if settings.is_file() else {}
    if content.pop(_PROCESSOR, None) is not None:  # of images and audio; transformers would look for its files
        _write_json(settings, content)


def _write_ranges(target: Path, folder: ModelFolder) -> None:
    if folder.int8_ranges:
        _write_json(target / RANGES, {str(dim): ranges.tolist() for dim, ranges in folder.int8_ranges.items()})
