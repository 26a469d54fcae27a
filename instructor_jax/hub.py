"""From a model's name to a local folder: a folder as it is, anything else through the Hugging Face hub and its cache.

Repositories often hold the same weights several times (safetensors, `.bin`, TensorFlow, ONNX). Only one set is fetched:
what is missing after the preferred format is asked for in the next one. The same questions asked offline find what was
fetched before.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from instructor_jax.default_model import DEFAULT_FOLDER, DEFAULT_MODEL
from instructor_jax.folders import TOKENIZER_FILES
from instructor_jax.own_folder import OWN_CONFIG, OWN_PARAMS, RANGES
from instructor_jax.tensor_files import find_weights

_SETTINGS = (
    OWN_CONFIG,
    RANGES,
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_*_config.json",
    *TOKENIZER_FILES,
    "[0-9]*_*/config.json",  # sentence-transformers names its module folders 1_Pooling, 2_Dense, ...
)
_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
_TORCH = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin")
_FLAX = ("flax_model.msgpack", "flax_model.msgpack.index.json", "flax_model-*-of-*.msgpack")
_WEIGHTLESS = ("Pooling", "Normalize", "Dropout")


def resolve_model(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """The folder of a model: an existing folder itself, or the snapshot of a repository on the Hugging Face hub.

    The name "default" is the small model that the package carries; it needs no network.

    Args:
        name_or_path: a folder, a hub name such as `hkunlp/instructor-base`, or "default".
        revision: branch, tag or commit on the hub; the default branch if None.
        cache_dir: where snapshots are kept; the hub library's own cache (`HF_HOME`) if None.
        local_files_only: use the cache without asking the network; `HF_HUB_OFFLINE=1` does the same.
        token: the hub's, for private models; None for the one that `hf auth login` keeps, False for none.

    Raises:
        ValueError: it is a file, or neither a folder nor a possible hub name; or a revision is given for what is not on
            the hub.
        OSError: the hub does not know it or cannot be reached, and the cache does not hold it.
    """
    name = os.fspath(name_or_path)
    packaged = name == DEFAULT_MODEL
    folder = DEFAULT_FOLDER if packaged else Path(os.path.expanduser(name))  # Path's own raises without a home folder
    if name and folder.is_dir():
        if revision is not None:
            place = "the packaged model" if packaged else "a folder"
            raise ValueError(f"revision={revision!r} is for models on the hub, but {name!r} is {place}; leave it out.")
        return folder
    if name and folder.exists():
        raise ValueError(f"{folder} is a file; give the model's folder, {folder.parent}, or a name on the hub.")
    _check_name(name)
    snapshot = _download(name, _patterns(_SAFETENSORS), revision, cache_dir, local_files_only, token)
    if (snapshot / OWN_CONFIG).is_file():
        return _download(name, [*_SETTINGS, f"{OWN_PARAMS}/*"], revision, cache_dir, local_files_only, token)
    for weights in (_TORCH, _FLAX):
        lacking = [module for module in _modules(snapshot) if _lacks_weights(snapshot / module)]
        if not lacking:
            break
        wanted = [str(Path(module, pattern)) for module in lacking for pattern in weights]
        snapshot = _download(name, [*_patterns(_SAFETENSORS), *wanted], revision, cache_dir, local_files_only, token)
    return snapshot


def _check_name(name: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ValueError(
            f"{name!r} is neither an existing folder nor a hub name of the form 'organisation/model'."
        ) from error


def _patterns(weights: Iterable[str]) -> list[str]:
    return [*_SETTINGS, *weights, *(f"[0-9]*_*/{name}" for name in weights)]


def _modules(snapshot: Path) -> list[str]:
    """The folders, relative to the snapshot, that should hold weights."""
    path = snapshot / "modules.json"
    if not path.is_file():
        return [""]
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        paths = {str(module["path"]): module["type"].rpartition(".")[2] for module in modules}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is not a sentence-transformers list of modules with 'path' and 'type'.") from error
    return [module for module, kind in paths.items() if kind not in _WEIGHTLESS]


def _lacks_weights(folder: Path) -> bool:
    return find_weights(folder) is None and not any((folder / name).is_file() for name in _FLAX)


def _download(
    name: str,
    patterns: list[str],
    revision: str | None,
    cache_dir: str | Path | None,
    local_files_only: bool,
    token: str | bool | None,
) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {revision!r}" if revision else ""
    try:
        return Path(
            huggingface_hub.snapshot_download(
                name,
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
                token=token,
                allow_patterns=patterns,
            )
        )
    except LocalEntryNotFoundError as error:
        raise OSError(
            f"{name!r}{at} is not in the local cache, or not whole, and the hub was not reached. Run once with network "
            "access (HF_HUB_OFFLINE unset, local_files_only=False), or give the path of a model folder."
        ) from error
    except RevisionNotFoundError as error:
        raise OSError(f"The hub has {name!r}, but not its revision {revision!r}.") from error
    except GatedRepoError as error:
        raise OSError(f"{name!r} asks for consent on its hub page; give it there and run 'hf auth login'.") from error
    except RepositoryNotFoundError as error:
        raise OSError(
            f"There is no folder {name!r}, and the hub has no public model of that name. Check the spelling; "
            "for a private model run 'hf auth login'."
        ) from error
    except HfHubHTTPError as error:
        raise OSError(f"The hub could not serve {name!r}{at}: {str(error).partition(chr(10))[0]}") from error
