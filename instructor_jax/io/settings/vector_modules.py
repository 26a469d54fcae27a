"""What the config.json of each module behind the encoder says: obeyed, known to be harmless, or refused by name.

The tables were made from sentence-transformers 2.2.2 to 6.2 (`models/`, `base/modules/`, the modules of
`sentence_transformer/`). A module's file is the arguments of its constructor, so a key that is unknown here could
change the vectors there, and is refused.
"""

from pathlib import Path
from typing import Any, get_args

from instructor_jax.config import DenseActivation, DenseShape, PoolingKind
from instructor_jax.io.json_files import Fields, read_json, shown_value

# sentence-transformers' older flags (2.x to 5.3) -> the names of `pooling_mode` (5.4 on). Without a flag that is true
# it takes the mean.
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

# torch's classes of the functions behind a Dense module, the file of each within torch.nn.modules; it is torch's class
# under the names of its packages too. Others that end so are not torch's: sentence-transformers takes Tanh instead of
# an activation that it does not trust.
_ACTIVATIONS: dict[DenseActivation, tuple[str, str]] = {
    "identity": ("linear", "Identity"),
    "tanh": ("activation", "Tanh"),  # Dense without a word on its activation
    "relu": ("activation", "ReLU"),
    "gelu": ("activation", "GELU"),
    "silu": ("activation", "SiLU"),
    "sigmoid": ("activation", "Sigmoid"),
}
_NAMED: dict[str, DenseActivation] = {
    f"{package}.{name}": ours
    for ours, (file, name) in _ACTIVATIONS.items()
    for package in (f"torch.nn.modules.{file}", "torch.nn", "torch.nn.modules")
}

_DENSE_ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "module_input_name": (("sentence_embedding",), "which projects something other than the pooled vector"),
    "module_output_name": (("sentence_embedding",), "which puts its result somewhere else than into the vector"),
    "use_residual": ((False,), "which adds the module's input to its output"),
}
_NORMALIZE_ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "module_input_name": (("sentence_embedding",), "which normalises something other than the vector"),
    "module_output_name": (("sentence_embedding",), "which puts its result somewhere else than into the vector"),
}


def read_pooling(file: Path, width: int) -> tuple[PoolingKind, bool | None]:
    """Reads how a Pooling module makes one vector of the encoder's states.

    Args:
        file: its config.json.
        width: the encoder's.

    Returns:
        The kind of pooling, and whether the file asks to pool the instruction too; None where it says nothing:
        sentence-transformers writes the key since 2.4.

    Raises:
        ValueError: another way of pooling, another width, or an unknown key.
        OSError: the file cannot be read.
    """
    fields = Fields(read_json(file), file)
    flags = [mode for flag, mode in _POOLING_FLAGS.items() if fields.flag(flag, False)]
    modes = fields.any("pooling_mode", flags or "mean")
    modes = modes if isinstance(modes, list) else [modes]
    kind: Any = modes[0] if len(modes) == 1 else None
    if kind not in get_args(PoolingKind):
        listed = ", ".join(shown_value(mode) for mode in modes[:6]) or "nothing"
        raise ValueError(
            f"{file} pools by {listed} (pooling_mode); supported is one of {', '.join(get_args(PoolingKind))} alone."
        )
    found = {
        key: fields.whole(key, least=1) for key in ("word_embedding_dimension", "embedding_dimension") if key in fields
    }
    if not found:
        raise ValueError(f"{file} lacks 'embedding_dimension' (before version 5.4 'word_embedding_dimension').")
    for key, value in found.items():
        if value != width:
            raise ValueError(f"{file} has {key}={value}, but the encoder gives {width} values.")
    asked = fields.flag("include_prompt") if "include_prompt" in fields else None
    fields.refuse_unread()
    return kind, asked


def read_dense(file: Path, width: int) -> DenseShape:
    """Reads what a Dense module does to the vector.

    Args:
        file: its config.json.
        width: the size of the vectors that it reads.

    Raises:
        ValueError: an activation that is not known, another size, a module that acts on something else, or an unknown
            key.
        OSError: the file cannot be read.
    """
    fields = Fields(read_json(file), file)
    bias, activation = fields.flag("bias", True), fields.text("activation_function", activation_class("tanh"))
    if activation not in _NAMED:
        known = ", ".join(map(activation_class, _ACTIVATIONS))
        raise ValueError(f"{file} has activation_function={shown_value(activation)}; supported are {known}.")
    for key, (values, rule) in _DENSE_ONLY.items():
        fields.require({key: values}, rule)
    read, given = fields.whole("in_features", least=1), fields.whole("out_features", least=1)
    if read != width:
        raise ValueError(f"{file} has in_features={read}, but the module before it gives {width} values.")
    fields.refuse_unread()
    return DenseShape(given, bias, _NAMED[activation])


def activation_class(name: DenseActivation) -> str:
    """Returns torch's class of a function behind a Dense module, as sentence-transformers writes it."""
    return "torch.nn.modules." + ".".join(_ACTIVATIONS[name])


def check_normalize(file: Path) -> None:
    """Checks that a Normalize module acts on the vector; before version 6 it has no file.

    Raises:
        ValueError: it acts on something else, or has an unknown key.
    """
    if not file.is_file():
        return
    fields = Fields(read_json(file), file)
    for key, (values, rule) in _NORMALIZE_ONLY.items():
        fields.require({key: values}, rule)
    fields.refuse_unread()


def check_dropout(file: Path) -> None:
    """Checks a Dropout module, which does nothing outside of training; its file may be absent.

    Raises:
        ValueError: its rate is no number from 0 to 1, or it has an unknown key.
    """
    if not file.is_file():
        return
    fields = Fields(read_json(file), file)
    fields.number("dropout", 0.2, least=0.0, most=1.0)
    fields.refuse_unread()
