"""From a model's name to a local folder: a folder as it is, anything else through the Hugging Face hub and its cache.

Repositories often hold the same weights several times (safetensors, `.bin`, TensorFlow, ONNX). Only one set is fetched:
what is missing after the preferred format is asked for in the next one. The same questions asked offline find what was
fetched before. Every file is fetched that `read_folder` looks at, also those that it refuses a model for.
"""

import fnmatch
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from instructor_jax.io.default_model import DEFAULT_FOLDER, DEFAULT_MODEL
from instructor_jax.io.json_files import shown_value
from instructor_jax.io.model_folder import CHAT_TEMPLATES, PROCESSOR_FILES, TOKENIZER_FILES
from instructor_jax.io.own_folder import OWN_CONFIG, OWN_PARAMS, RANGES
from instructor_jax.io.package_models import PACKAGE, packaged_folder
from instructor_jax.io.remote.folders import fetched
from instructor_jax.io.remote.stores import require_served
from instructor_jax.io.remote_places import remote_scheme
from instructor_jax.io.settings.model import MODEL_SETTINGS
from instructor_jax.io.settings.modules import MODULES_FILE, Module, read_modules
from instructor_jax.io.weights.adapters import ADAPTER_FILES
from instructor_jax.io.weights.tensor_files import find_weights

# Files of a model's folder, and of the folders of its modules.
_SETTINGS = (
    OWN_CONFIG,
    RANGES,
    "config.json",
    MODEL_SETTINGS,
    MODULES_FILE,
    "sentence_*_config.json",
    *TOKENIZER_FILES,
    *PROCESSOR_FILES,
    *CHAT_TEMPLATES,
    "additional_chat_templates/*",
    *ADAPTER_FILES,
)
# sentence-transformers names its module folders 0_Transformer, 1_Pooling, 2_Dense, ...; the original package writes
# 1_INSTRUCTOR_Pooling.
_MODULE_FOLDERS = "[0-9]*_*/"
_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
_TORCH = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin")
_FLAX = ("flax_model.msgpack", "flax_model.msgpack.index.json", "flax_model-*-of-*.msgpack")
_WITH_WEIGHTS = ("Transformer", "Dense")


def resolve_model(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """The folder of a model: an existing folder itself, a copy of a remote one, or a snapshot of the Hugging Face hub.

    The name "default" is the small model that this package carries, `package:NAME` the one that another installed
    package does; neither needs a network.

    Args:
        name_or_path: a folder, also of a store (`s3://bucket/model`), a hub name such as `hkunlp/instructor-base`,
            `package:NAME`, or "default".
        revision: branch, tag or commit on the hub; the default branch if None.
        cache_dir: where snapshots are kept; the hub library's own cache (`HF_HOME`) if None.
        local_files_only: use the cache without asking the network; `HF_HUB_OFFLINE=1` does the same.
        token: the hub's, for private models; None for the one that `hf auth login` keeps, False for none.

    Raises:
        ValueError: it is a file, or neither a folder nor a possible hub name; or a revision is given for what is not on
            the hub.
        OSError: the hub does not know it or cannot be reached, and the cache does not hold it.
    """
    name = _checked(name_or_path)
    if remote_scheme(name) is not None:
        require_served("the model", name)
        if revision is not None:
            raise ValueError(f"revision={revision!r} is for models on the hub, but {name!r} is a folder; leave it out.")
        return fetched(name)
    packaged = name == DEFAULT_MODEL or name.startswith(PACKAGE)
    folder = _in_a_package(name) if packaged else Path(os.path.expanduser(name))  # Path's own raises without a home
    if os.path.isdir(folder):  # Path's own raises for a name that is too long
        if revision is not None:
            place = "a packaged model" if packaged else "a folder"
            raise ValueError(f"revision={revision!r} is for models on the hub, but {name!r} is {place}; leave it out.")
        return folder
    if os.path.exists(folder):
        raise ValueError(f"{folder} is a file; give the model's folder, {folder.parent}, or a name on the hub.")
    _check_name(name)

    def fetch(patterns: list[str]) -> Path:
        return _download(name, patterns, revision, cache_dir, local_files_only, token)

    patterns = _patterns(["", _MODULE_FOLDERS], [*_SETTINGS, *_SAFETENSORS])
    snapshot = fetch(patterns)
    if (snapshot / OWN_CONFIG).is_file():
        return fetch([*_SETTINGS, f"{OWN_PARAMS}/*"])
    modules = _modules(snapshot)
    places = [f"{module.path}/" for module in modules if module.path]
    if elsewhere := [place for place in places if not fnmatch.fnmatchcase(place, _MODULE_FOLDERS)]:
        patterns += _patterns(elsewhere, [*_SETTINGS, *_SAFETENSORS])
        snapshot = fetch(patterns)
    weighty = [module.path for module in modules if module.kind in _WITH_WEIGHTS]
    for weights in (_TORCH, _FLAX):
        lacking = [path for path in weighty if _lacks_weights(snapshot / path)]
        if not lacking:
            break
        snapshot = fetch([*patterns, *(str(Path(path, pattern)) for path in lacking for pattern in weights)])
    return snapshot


def _in_a_package(name: str) -> Path:
    return DEFAULT_FOLDER if name == DEFAULT_MODEL else packaged_folder(name)


def _checked(name_or_path: Any) -> str:
    """Returns a name that may be a folder's or the hub's.

    Raises:
        ValueError: it is no text, or empty, which the file system would take for the current folder.
    """
    name = os.fspath(name_or_path) if isinstance(name_or_path, os.PathLike) else name_or_path
    if not isinstance(name, str):
        raise ValueError(f"a model is named by a text or a path, not by {type(name).__name__} {str(name)[:80]!r}.")
    if not name.strip():
        raise ValueError(
            f"the model's name {name!r} is neither an existing folder nor a hub name; '.' is the current folder."
        )
    return name


def _check_name(name: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ValueError(
            f"{shown_value(name)} is neither an existing folder nor a hub name of the form 'organisation/model'."
        ) from error


def _patterns(places: Iterable[str], names: Iterable[str]) -> list[str]:
    return [f"{place}{name}" for name in names for place in places]


def _modules(snapshot: Path) -> list[Module]:
    """The modules that a snapshot lists; a plain T5 is its Transformer alone."""
    if not (snapshot / MODULES_FILE).is_file():
        return [Module("Transformer", "", "0", 0)]
    return read_modules(snapshot)


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
