"""The one way in to models that other libraries load: transformers and sentence-transformers, without anybody's code.

Both can run Python files that lie in a model folder. transformers even asks on standard input whether it may
(`auto_map` in a config.json), so that a "y" in a pipe runs them; sentence-transformers imports the classes that
modules.json names, from any module that Python finds. Nothing here does: `trust_remote_code=False` is said everywhere,
what names code of its own is refused before the library sees it, and weights are never unpickled.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.io.json_files import Fields, read_json, read_json_value, shown_value

# Names of transformers' settings that point to Python code of a folder, or of another repository.
_CODE = ("auto_map", "custom_pipelines")
_SETTINGS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")


def refuse_own_code(folder: Path) -> None:
    """Refuses a folder whose settings name Python code of its own; looks at the folder and at those of its modules.

    Raises:
        ValueError: a settings file has `auto_map`, or modules.json names a class that is not sentence-transformers'.
        OSError: a file cannot be read.
    """
    for file in _settings_files(folder):
        fields = Fields(read_json(file), file)
        for key in _CODE:
            if fields.content.get(key):
                raise ValueError(
                    f"{file} has {key}={shown_value(fields.content[key])}: the model needs Python code of its own, "
                    "which is never run here. Use a model whose architecture the library knows."
                )
    modules = folder / "modules.json"
    if not modules.is_file():
        return
    listed = read_json_value(modules)
    for module in listed if isinstance(listed, list) else []:
        kind = module.get("type") if isinstance(module, dict) else None
        if not isinstance(kind, str) or not kind.startswith("sentence_transformers."):
            raise ValueError(
                f"{modules} names the class {shown_value(kind)}, which is not one of sentence-transformers; code that "
                "a folder names is never imported here."
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
    for place in (folder, *sorted(path for path in folder.glob("[0-9]*_*") if path.is_dir())):
        for name in _SETTINGS:
            if (place / name).is_file():
                yield place / name


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).rstrip(".") + "."
