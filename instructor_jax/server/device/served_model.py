"""A model that is served: its names, its instructions, its queue, and the device that computes it."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from instructor_jax.inference.finite import NotFinite
from instructor_jax.inference.stages import Prepared, finish, packed_calls, run_calls
from instructor_jax.inference.token_outputs import token_states
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.server.device.failures import BrokenVector
from instructor_jax.server.device.token_queue import TokenQueue
from instructor_jax.server.device.token_views import TokenViews
from instructor_jax.sharding import Device
from instructor_jax.text.batches import TokenBatch, TokenizedTexts
from instructor_jax.text.buckets import PackingConfig
from instructor_jax.text.tokenization import Tokenizer

logger: logging.Logger = logging.getLogger(__name__)


@runtime_checkable  # beartype asks in tests
class Computes(Protocol):
    """What is asked of the model behind the server; `instructor_jax.inference.engine.Engine` is what computes."""

    tokenizer: Tokenizer
    packing: PackingConfig
    devices: list[Device]
    platform: str

    def embed(self, batch: TokenBatch) -> Any:
        """Dispatches a batch; returns vectors [groups, slots, dim]."""
        ...

    def encode_tokens(self, batch: TokenBatch) -> Any:
        """Dispatches a batch; returns the tokens' hidden states [groups, rows, len, embed]."""
        ...

    def warmup(self) -> int:
        """Compiles every program; returns how many there are."""
        ...


@dataclasses.dataclass
class ServedModel:
    """One model behind the server.

    Attributes:
        name: What clients call it.
        folder: Configuration, prompts and ranges.
        engine: Tokenizer and weights on their devices.
        queue: Jobs that wait for the device.
        views: Its tokens as a person sees them.
        instruction: Instruction of texts for which a request names none.
        aliases: Instructions of the names `NAME/ALIAS` and `ALIAS`.
        dtype: Type of weights and computation.
        created: Unix time at which it was loaded, which OpenAI's clients expect of a model.
        run: How a batch is computed; tests put failures there.
    """

    name: str
    folder: ModelFolder
    engine: Computes
    queue: TokenQueue
    views: TokenViews
    instruction: str | None = None
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dtype: str = "float32"
    created: int = 0
    run: Callable[[TokenBatch], Any] | None = None

    @property
    def names(self) -> list[str]:
        """All names by which it is listed: its own, and NAME/ALIAS for each alias."""
        return [self.name, *(f"{self.name}/{alias}" for alias in self.aliases)]

    @property
    def dimensions(self) -> int:
        """Number of dimensions of its vectors."""
        return self.folder.config.embedding_dim

    @property
    def vocabulary(self) -> int:
        """Number of token ids that have an embedding."""
        return self.folder.config.encoder.vocab

    @property
    def max_length(self) -> int:
        """Most tokens of instruction and text."""
        return self.engine.tokenizer.max_length

    def embed(self, batch: TokenBatch) -> Any:
        """Dispatches a batch to the device; returns its vectors [groups, slots, dim] without waiting for them."""
        return (self.run or self.engine.embed)(batch)

    def computes(self) -> bool:
        """Returns whether the device computes a finite vector of a text of one token."""
        one = np.ones(1, np.int32)
        try:
            self.by_itself(TokenizedTexts(one, np.array([0, 1], np.int64), one * 0, one))
        except Exception as error:
            logger.error("%s does not even compute one token: %s", self.name, error)
            return False
        return True

    def by_itself(self, texts: TokenizedTexts) -> np.ndarray:
        """Returns the vectors of texts that are packed with no others: the bits that the library gives.

        Raises:
            BrokenVector: One of them is not made of numbers.
        """
        prepared = self._prepared(texts)
        results = run_calls(prepared, self.embed)
        try:
            return finish(prepared, results, self.folder.config.normalize).vectors
        except NotFinite:
            raise BrokenVector from None

    def token_states(self, texts: TokenizedTexts) -> list[np.ndarray]:
        """Returns the hidden states [tokens, embed] of each text.

        Raises:
            BrokenVector: One of them is not made of numbers.
        """
        prepared = self._prepared(texts)
        results = run_calls(prepared, self.engine.encode_tokens)
        try:
            return token_states(prepared, results)
        except NotFinite:
            raise BrokenVector from None

    def _prepared(self, texts: TokenizedTexts) -> Prepared:
        calls = packed_calls(texts, self.engine.packing)
        truncated = texts.full_lengths > self.max_length
        return Prepared(texts, None, len(texts), truncated, texts.full_lengths, calls)
