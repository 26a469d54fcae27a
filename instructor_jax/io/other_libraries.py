"""The one way in to models that other libraries load: transformers and sentence-transformers, without anybody's code.

Both can run Python files that lie in a model folder. transformers even asks on standard input whether it may
(`auto_map` in a config.json), so that a "y" in a pipe runs them; sentence-transformers imports the classes that
modules.json names; an attention of the form "owner/name" is fetched from the hub and run (`hub_kernels.py`), and an
adapter loads whatever model it names. Nothing here does: `trust_remote_code=False` is said everywhere, what names code
or a model elsewhere is refused before the library sees it, and weights are never unpickled.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from instructor_jax.io.json_files import Fields, read_json, read_json_value, shown_value
from instructor_jax.io.printable import one_line

# Keys of transformers' settings that point to Python code of a folder, or of another repository.
_CODE = ("auto_map", "custom_pipelines", "custom_generate")
# Keys that choose among implementations; a value with a slash is a repository of compiled code.
_IMPLEMENTATION = re.compile(r"_?(attn|experts)_implementation(_internal)?")
_SETTINGS = (
    "config.json", "tokenizer_config.json", "generation_config.json", "processor_config.json",
    "preprocessor_config.json", "video_preprocessor_config.json", "adapter_config.json",
    "config_sentence_transformers.json", "sentence_bert_config.json", "router_config.json",
)  # fmt: skip
# sentence-transformers' modules, wherever its versions keep them. Other names of its package are not classes of
# modules: "sentence_transformers.util.tensor.torch" is PyTorch.
_MODULES = (
    "Transformer", "Pooling", "Dense", "Normalize", "Dropout", "LayerNorm", "WeightedLayerPooling", "CNN", "LSTM",
    "BoW", "WordEmbeddings", "WordWeights", "CLIPModel", "StaticEmbedding", "Router", "Asym", "MLMTransformer",
    "SpladePooling", "SparseAutoEncoder", "SparseStaticEmbedding",
)  # fmt: skip
_MODULE = re.compile(r"sentence_transformers(\.[a-z_0-9]+)*\.([A-Za-z]+)")


def refuse_own_code(folder: Path) -> None:
    """Refuses a folder whose settings name Python code of its own, or a model elsewhere.

    Looks at the folder, at what modules.json names, and at folders named as sentence-transformers names its modules.

    Raises:
        ValueError: a settings file has `auto_map` or the like at any depth, modules.json names a class that is not
            sentence-transformers', or an adapter names its base model.
        OSError: a file cannot be read.
    """
    for file in _settings_files(folder):
        content = read_json(file)
        for key, value in _entries(content):
            if key in _CODE and value:
                raise ValueError(
                    f"{file} has {key}={shown_value(value)}: the model needs Python code of its own, "
                    "which is never run here. Use a model whose architecture the library knows."
                )
            if _IMPLEMENTATION.fullmatch(key) and "/" in str(value):
                raise ValueError(
                    f"{file} has {key}={shown_value(value)}: code of another repository, which is never fetched "
                    "and run here. Remove the key."
                )
        if file.name == "adapter_config.json" and content.get("base_model_name_or_path"):
            raise ValueError(
                f"{file} names the model {shown_value(content['base_model_name_or_path'])}, which would be fetched and "
                "loaded. Merge the adapter into its model (peft: merge_and_unload) and give that folder."
            )


def auto_tokenizer(name_or_folder: str | Path, *, local: bool) -> Any:
    """Returns the tokenizer that transformers makes of a folder or of a model on the hub.

    Args:
        name_or_folder: a folder, or a name on the hub.
        local: do not ask the network.

    Raises:
        ValueError: it needs code of its own, or transformers cannot load it.
        ImportError: transformers is absent.
    """
    _refuse_code_and_untyped(name_or_folder)
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # it advises to install PyTorch, not needed here
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(name_or_folder), local_files_only=local, trust_remote_code=False)
    except (KeyboardInterrupt, SystemExit, ImportError):
        raise
    except BaseException as error:  # also panics of the tokenizers library, which are no Exceptions
        raise ValueError(f"the tokenizer of {name_or_folder} cannot be loaded: {_reason(error)}") from error


def causal_language_model(name_or_folder: str | Path, *, local: bool) -> Any:
    """Returns a causal language model of transformers in float32.

    Args:
        name_or_folder: a folder, or a name on the hub.
        local: do not ask the network.

    Raises:
        ValueError: it needs code of its own, or is no causal language model.
        ImportError: transformers or PyTorch is absent.
    """
    _refuse_code_and_untyped(name_or_folder)
    import torch
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            str(name_or_folder), local_files_only=local, trust_remote_code=False, dtype=torch.float32
        )
    except (KeyboardInterrupt, SystemExit, ImportError):
        raise
    except BaseException as error:
        raise ValueError(
            f"{str(name_or_folder)!r} is no causal language model that transformers can load: {_reason(error)}"
        ) from error


def sentence_transformer(name_or_folder: str | Path, *, local: bool) -> Any:
    """Returns a model of sentence-transformers.

    Args:
        name_or_folder: a folder, or a name on the hub.
        local: do not ask the network.

    Raises:
        ValueError: it needs code of its own, or sentence-transformers cannot load it.
        ImportError: sentence-transformers is absent.
    """
    _refuse_code_and_untyped(name_or_folder)
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(str(name_or_folder), local_files_only=local, trust_remote_code=False)
    except (KeyboardInterrupt, SystemExit, ImportError):
        raise
    except BaseException as error:
        raise ValueError(f"sentence-transformers cannot load {str(name_or_folder)!r}: {_reason(error)}") from error


def _refuse_code_and_untyped(name_or_folder: str | Path) -> None:
    folder = Path(name_or_folder)
    if not folder.is_dir():
        return  # a name on the hub: trust_remote_code=False stands alone there
    refuse_own_code(folder)
    config = folder / "config.json"
    if config.is_file():
        # Without a model type transformers guesses one from the folder's name.
        Fields(read_json(config), config).text("model_type")


def _settings_files(folder: Path) -> Iterator[Path]:
    places = {folder: None} | dict.fromkeys(_modules(folder))
    places |= dict.fromkeys(sorted(path for path in folder.glob("[0-9]*_*") if path.is_dir()))
    for place in places:
        for name in _SETTINGS:
            if (place / name).is_file():
                yield place / name


def _modules(folder: Path) -> list[Path]:
    """Returns the folders that modules.json names, which may not lead out of the folder; checks the classes."""
    file = folder / "modules.json"
    if not file.is_file():
        return []
    listed = read_json_value(file)
    if not isinstance(listed, list):
        raise ValueError(f"{file} must hold a list of modules, not {shown_value(listed)}.")
    places = []
    for number, module in enumerate(listed):
        fields = Fields(module, f"{file}[{number}]")
        kind = fields.any("type")
        named = _MODULE.fullmatch(kind) if isinstance(kind, str) else None
        if not named or named[2] not in _MODULES:
            raise ValueError(
                f"{file} names the class {shown_value(kind)}, which is not a module of sentence-transformers; code "
                "that a folder names is never imported here."
            )
        path = fields.text("path", default="")
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise ValueError(f"{file} has path={shown_value(path)}, which leads out of the folder.")
        places.append(folder / path)
    return places


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields keys and values at every depth; `read_json` has bounded it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)


def _reason(error: BaseException) -> str:
    return one_line(str(error) or type(error).__name__, 500).rstrip(".") + "."
