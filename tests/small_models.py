"""Small random models without PyTorch: shapes, weights, and folders that hold them."""

from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.commands.create import write_tiny_tokenizer
from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.io.folder_writer import write_sentence_transformers
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.weights.names import params_from_torch, torch_shapes

ENCODER = EncoderConfig(vocab=600, embed=16, layers=2, heads=2, head_dim=8, ffn=24, relative_buckets=8)
SMALL = ModelConfig(ENCODER, projection=12)
UMT5_ENCODER = EncoderConfig(
    vocab=600, embed=16, layers=3, heads=2, head_dim=4, ffn=1024, activation="gelu_new", gated=True,
    shared_relative_bias=False, model_type="umt5",
)  # fmt: skip
UMT5 = ModelConfig(UMT5_ENCODER, normalize=False)


def random_arrays(config: ModelConfig, dtype: Any = np.float32, seed: int = 0) -> dict[str, np.ndarray]:
    """PyTorch-named weights whose states stay of order 1 and differ from token to token."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in torch_shapes(config).items():
        spread = {"shared": 1.0, "relative_attention_bias": 1.0, "layer_norm": 0.2}
        scale = next((value for part, value in spread.items() if part in name), shape[-1] ** -0.5)
        arrays[name] = (random.standard_normal(shape) * scale + ("layer_norm" in name)).astype(dtype)
    return arrays


def random_params(config: ModelConfig, dtype: Any = np.float32, seed: int = 0) -> dict[str, Any]:
    """The same weights as the library's nested parameters."""
    return params_from_torch(config, random_arrays(config, dtype, seed))


def tokenizer_folder(path: Path) -> Path:
    """A folder with nothing but the tiny tokenizer of `instructor-jax create`; its vocabulary has fewer than 600."""
    path.mkdir(parents=True, exist_ok=True)
    write_tiny_tokenizer(path)
    return path


def model_folder(path: Path, config: ModelConfig = SMALL, dtype: Any = np.float32, **about: Any) -> Path:
    """A complete sentence-transformers folder at `path`, beside the folder of its tokenizer.

    Args:
        path: where.
        config: shape.
        dtype: of the weights.
        about: `prompts`, `default_prompt_name`, `int8_ranges` of `ModelFolder`.
    """
    tokenizer = tokenizer_folder(path.parent / f"{path.name}-tokenizer")
    write_sentence_transformers(path, ModelFolder(tokenizer, config, **about), random_params(config, dtype))
    return path


def leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """Nested parameters by dotted path."""
    flat = {}
    for key, value in tree.items():
        flat |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": np.asarray(value)}
    return flat


def assert_identical(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The same names, dtypes and bits."""
    one, other = leaves(first), leaves(second)
    assert set(one) == set(other)
    for name, value in one.items():
        assert value.dtype == other[name].dtype, name
        assert value.shape == other[name].shape, name
        assert value.tobytes() == other[name].tobytes(), name
