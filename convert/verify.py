"""Layer by layer against PyTorch: the state after the embedding and after every layer, the final state, the vector.

The PyTorch side is transformers' own encoder with the same weights, loaded by transformers where the folder is a
PyTorch folder that it reads as we do (safetensors, its own names, no adapter), so that a mistake in our reading would
show.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from instructor_jax.backbones.configuration import stack_depth
from instructor_jax.backbones.registry import backbone_of
from instructor_jax.config import ModelConfig
from instructor_jax.io.settings.family import backbone_in
from instructor_jax.io.tokenizers.folders import load_token_ids
from instructor_jax.io.weights.adapters import has_adapter
from instructor_jax.io.weights.prefixes import plain_names
from instructor_jax.io.weights.tensor_files import find_weights, read_tensors
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.layout import Layout, unstacked_params
from instructor_jax.nn.model import merge
from instructor_jax.text.batches import TokenBatch
from instructor_jax.text.tokenization import Tokenizer, as_pairs

from .pooled_encoder import pooling
from .sources import Source
from .torch_encoder import encoder_class, torch_encoder

# float32 on both sides, sums in another order. States between layers grow to hundreds in trained models, so the bound
# is relative to their largest value; vectors have unit length.
TOLERANCE = 1e-5
_TEXTS = (
    "Represent the Science sentence: ",
    "Represent the Medicine sentence for retrieving a duplicate sentence: ",
    "",
)
_SAMPLES = ("A short one.", "Mixed-case TEXT, with numbers 3.14 and Umlaute: äöü.", "word " * 120)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One line of the verdict: what was compared, how far apart, and how far it may be."""

    name: str
    difference: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within what is allowed."""
        return self.difference <= self.allowed  # False for NaN


def verify(source: Source) -> list[Comparison]:
    """Compares our float32 computation with PyTorch's.

    Args:
        source: the model as we read it.

    Raises:
        ImportError: torch or transformers is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("convert verify needs torch: pip install 'instructor-jax[torch]'") from error
    config = source.folder.config
    tokens, keep, unpooled = _inputs(source)
    params = jax.tree.map(lambda array: np.asarray(array, np.float32), source.params)
    ours = _our_states(config, params, tokens, keep)
    encoder = _torch_encoder(source)
    each = config.encoder.layers // stack_depth(config.encoder)  # how many layers our loop runs at a time
    with torch.inference_mode():
        output = encoder(
            input_ids=torch.from_numpy(tokens).long(),
            attention_mask=torch.from_numpy(keep).long(),
            output_hidden_states=True,
        )
        *between, _ = [state.numpy() for state in output.hidden_states]  # the last is the final, normalised one
        theirs = [*between[::each], output.last_hidden_state.numpy()]
        masks = torch.from_numpy(keep).long(), torch.from_numpy(unpooled).long()
        vectors = pooling(config, params)(output.last_hidden_state, *masks).numpy()
    names = ["embedding", *(f"layer {index}" for index in range(each - 1, config.encoder.layers - 1, each)), "final"]
    # transformers reports the state after the last layer only behind the final norm; so do we
    ours = [*ours[:-2], ours[-1]]
    rows = [_compare(name, a[keep], b[keep]) for name, a, b in zip(names, ours, theirs, strict=True)]
    return [*rows, _compare("vectors", _our_vectors(config, params, tokens, keep, unpooled), vectors)]


def _compare(name: str, ours: np.ndarray, theirs: np.ndarray) -> Comparison:
    allowed = TOLERANCE * max(1.0, float(np.abs(theirs).max()))
    return Comparison(name, float(np.abs(ours - theirs).max()), allowed)


def _inputs(
    source: Source,
) -> tuple[Int[np.ndarray, "rows len"], Bool[np.ndarray, "rows len"], Int[np.ndarray, "rows"]]:
    """Real sentences under several instructions where there is a tokenizer, random ids otherwise."""
    config = source.folder.config
    try:
        tokenizer = Tokenizer(load_token_ids(source.folder.path), config.max_length, vocab=config.encoder.vocab)
        texts = tokenizer(as_pairs([[head, text] for head in _TEXTS for text in _SAMPLES], None))
        rows = [texts.tokens[a:b] for a, b in zip(texts.offsets[:-1], texts.offsets[1:], strict=True)]
        unpooled = texts.unpooled * (not config.pool_instruction)
    except ValueError:
        generator = np.random.default_rng(0)
        rows = [generator.integers(2, config.encoder.vocab, size) for size in (1, 5, 33, 150)]
        unpooled = np.array([0, 0, 7, 0])
    length = max(map(len, rows))
    tokens = np.zeros((len(rows), length), np.int32)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = row
    keep = np.arange(length) < np.array([len(row) for row in rows])[:, None]
    return tokens, keep, unpooled


def _batch(tokens: np.ndarray, keep: np.ndarray, unpooled: np.ndarray) -> TokenBatch:
    """One text per row: the plainest way through our model."""
    segments = np.where(keep, 0, -1).astype(np.int32)
    pooled = keep & (np.arange(tokens.shape[1]) >= unpooled[:, None])
    return TokenBatch(tokens[None], segments[None], pooled[None], np.arange(len(tokens), dtype=np.int32)[None], 1)


def _our_states(
    config: ModelConfig, params: dict[str, Any], tokens: np.ndarray, keep: np.ndarray
) -> list[Float[np.ndarray, "rows len embed"]]:
    """The states after the embedding, after each layer, and behind the final norm."""
    layout = Layout(stacked=False)
    apart = {**params, "encoder": unstacked_params(params["encoder"], layout)}

    @jax.jit
    def run(params: dict[str, Any], batch: TokenBatch) -> list[jax.Array]:
        encoder = merge(config, params, Compute(layout=layout)).encoder
        x, step = encoder.begin(batch.tokens, batch.segments, None)
        states = [x]
        for index, layer in enumerate(encoder.layers):
            states.append(x := step(x, layer, jnp.int32(index)))
        return [*states, encoder.finish(x)]

    batch = _batch(tokens, keep, np.zeros(len(tokens), np.int32))
    return [np.asarray(state)[0] for state in run(apart, batch)]


def _our_vectors(
    config: ModelConfig, params: dict[str, Any], tokens: np.ndarray, keep: np.ndarray, unpooled: np.ndarray
) -> Float[np.ndarray, "rows dim"]:
    run = jax.jit(lambda params, batch: merge(config, params)(batch))
    return np.asarray(run(params, _batch(tokens, keep, unpooled)))[0]


def _torch_encoder(source: Source) -> Any:
    import torch

    config, path = source.folder.config, source.folder.path
    written_by_torch = ("sentence-transformers", f"PyTorch {backbone_of(config.encoder).title}")
    if source.format in written_by_torch and _is_as_transformers_reads(path):
        kind, _ = encoder_class(config)
        return kind.from_pretrained(
            str(path), dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
        ).eval()
    return torch_encoder(config, source.params)


def _is_as_transformers_reads(path: Path) -> bool:
    weights = find_weights(path)
    if weights is None or not weights.name.startswith("model.safetensors") or has_adapter(path):
        return False
    names = read_tensors(path).keys()
    return plain_names(dict.fromkeys(names), path, backbone_in(path).weights).keys() == names
