"""What encoders of packed rows have in common: the token table, the layers, and how they are run."""

from collections.abc import Callable
from typing import Any

from flax import nnx
from jaxtyping import Array, Float, Int, Key

from instructor_jax.backbones.configuration import BackboneConfig, stack_depth
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.embedding_table import TokenEmbedding
from instructor_jax.nn.stack import make_layers, run_layers


class PackedEncoder(nnx.Module):
    """An encoder whose families say what enters the first layer, how a layer is run, and what leaves the last one.

    Args:
        config: Of the encoder.
        compute: How it computes.
        make: Makes one layer, from random keys; or a step of several.
        rngs: Source of random keys.

    Attributes:
        recomputes_steps: Whether remat is of whole steps; otherwise the family's function sees to it.
    """

    recomputes_steps = True

    def __init__(
        self, config: BackboneConfig, compute: Compute, make: Callable[[nnx.Rngs], nnx.Module], rngs: nnx.Rngs
    ):
        self.compute = compute
        self.depth = stack_depth(config)
        self.embed = TokenEmbedding(config.vocab, config.embed, rngs)
        self.layers: Any = make_layers(make, self.depth, compute.layout, rngs)

    def __call__(
        self,
        tokens: Int[Array, "groups rows len"],
        segments: Int[Array, "groups rows len"],
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> Float[Array, "groups rows len embed"]:
        """Encodes rows; see `backbones.registry.EncoderModule`."""
        x, run = self.begin(tokens, segments, row_keys)
        x = run_layers(run, self.layers, x, self.depth, self.compute, recompute=self.recomputes_steps)
        return self.finish(x, row_keys)

    def begin(
        self,
        tokens: Int[Array, "groups rows len"],
        segments: Int[Array, "groups rows len"],
        row_keys: Key[Array, "groups rows"] | None = None,
    ) -> tuple[Float[Array, "groups rows len embed"], Callable[..., Array]]:
        """Returns what enters the first layer, and the function (x, layer, index) -> x that runs one."""
        raise NotImplementedError("a family's encoder says what enters its first layer")

    def finish(
        self, x: Float[Array, "groups rows len embed"], row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups rows len embed"]:
        """Returns the final states from what leaves the last layer."""
        return x
