"""One model a process for the same name and options, however many adapters ask for it, and only while one needs it."""

import copy
import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any

from instructor_jax.arguments import model_name, unknown_keywords
from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.io.printable import shown

# What a model may be loaded with: the options of `INSTRUCTOR`, which are those of the older classes, too.
LOADING = (
    "cache_folder",
    "device",
    "devices",
    "dtype",
    "local_files_only",
    "max_length",
    "model_kwargs",
    "tokenizer_kwargs",
    "processor_kwargs",
    "prompts",
    "default_prompt_name",
    "revision",
    "token",
    "tokens_per_call",
    "trust_remote_code",
    "use_auth_token",
)

_LOADED: "weakref.WeakValueDictionary[str, Any]" = weakref.WeakValueDictionary()
_LOADING = threading.Lock()


def loading_options(argument: str, options: Any) -> dict[str, Any]:
    """Returns the options with which a model is loaded, those that are None left out.

    Args:
        argument: what the caller calls them, for messages.
        options: a mapping of options of `INSTRUCTOR`.

    Raises:
        ValueError: it is no mapping, or has an option that `INSTRUCTOR` has not.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ValueError(f"{argument}={shown(options)} must be a dictionary, not a {type(options).__name__}.")
    unknown_keywords(argument, options, LOADING)
    return {name: value for name, value in options.items() if value is not None}


def shared_model(name: Any, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """Loads a model, or takes the loaded one of the same name and options.

    Args:
        name: a folder, a name on the hub, or "default" for the packaged model.
        options: of `INSTRUCTOR`, from `loading_options`.

    Returns:
        an `INSTRUCTOR` with settings of its own, and the one that it shares weights and programs with; whoever keeps
        the second lets others find it.

    Raises:
        ValueError: no such model, or an option that cannot be obeyed.
        OSError: the hub does not know it or cannot be reached.
    """
    from instructor_jax.drop_in.original import INSTRUCTOR  # imports JAX

    text = model_name("model_name", name)
    # A path means another folder once the current one has changed.
    place = os.path.abspath(text) if text != DEFAULT_MODEL and os.path.isdir(text) else text
    key = repr((place, sorted(options.items(), key=lambda option: option[0])))
    with _LOADING:  # whoever comes while another loads waits, instead of loading it twice
        model = _LOADED.get(key)
        if model is None:
            model = INSTRUCTOR(text, **options)
            model._made_of = options  # pyright: ignore[reportAttributeAccessIssue] - the key may name objects by address: keep them alive
            _LOADED[key] = model
    return copy.copy(model), model
