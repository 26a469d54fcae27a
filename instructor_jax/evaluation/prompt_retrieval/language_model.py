"""The in-context learner of Prompt Retrieval: a causal language model that chooses among options or writes on.

Options are scored as in MetaICL's "direct" form, which the published scores used: the mean cross-entropy of an option's
tokens after demonstrations and query, the lowest wins. Pieces of a prompt are tokenised apart and glued as ids.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from instructor_jax.evaluation.embedders import folder_hash
from instructor_jax.io.other_libraries import auto_tokenizer, causal_language_model

logger: logging.Logger = logging.getLogger(__name__)

# MetaICL's figures in the original scripts: of a whole prompt, and of the query's input with its longest option.
LONGEST_PROMPT, LONGEST_QUERY = 1024, 256
# Title generation: the prompt is cut to so many tokens, and so many are written.
LONGEST_CONTEXT, WRITTEN = 1900, 64
_STOPS = frozenset({"--", "\n", ";", "#"})

Demonstration = tuple[str, str]  # input, output


@runtime_checkable  # beartype asks in tests
class Learner(Protocol):
    """What Prompt Retrieval asks of a language model."""

    name: str

    def count(self, text: str) -> int:
        """Tokens of a text."""
        ...

    def option_losses(
        self, demonstrations: Sequence[Demonstration], query: str, options: Sequence[str]
    ) -> Float[np.ndarray, " options"]:
        """Returns the mean cross-entropy (nats per token) of each option after demonstrations and query."""
        ...

    def write(self, prompt: str) -> str:
        """Returns what follows a prompt, greedily."""
        ...


class LanguageModel:
    """A causal language model of transformers, through PyTorch, in float32, on a GPU where there is one.

    Args:
        model: a folder, or a name on the Hugging Face hub (the paper's is EleutherAI/gpt-j-6B).

    Raises:
        ValueError: there is no such model, or it is no causal language model.
        ImportError: PyTorch or transformers is absent.
    """

    def __init__(self, model: str) -> None:
        try:
            import torch
        except ImportError as error:
            raise ImportError(
                f"the language model {model} needs PyTorch: pip install 'instructor-jax[torch]'"
            ) from error
        local = Path(model).is_dir()
        loaded = causal_language_model(model, local=local)
        tokenizer = auto_tokenizer(model, local=local)
        self.name = model
        self._torch, self._tokenizer = torch, tokenizer
        self._model = loaded.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        positions = getattr(loaded.config, "max_position_embeddings", None)
        self._positions: int = positions if isinstance(positions, int) and positions > 0 else 1 << 30
        logger.info("language model %s: %d parameters", model, sum(p.numel() for p in loaded.parameters()))

    def count(self, text: str) -> int:
        """See `Learner`."""
        return len(self._ids(text))

    def option_losses(
        self, demonstrations: Sequence[Demonstration], query: str, options: Sequence[str]
    ) -> Float[np.ndarray, " options"]:
        """Returns the mean cross-entropy (nats per token) of each option after demonstrations and query."""
        context = []
        for number, (text, output) in enumerate(demonstrations):
            context += self._ids(text if number == 0 else f"\n\n\n{text}") + self._ids(f"\n{output}")
        answers = [self._ids(f"\n{option}") for option in options]
        longest = max(map(len, answers))
        context += self._ids(f"\n\n\n{query}")[: max(LONGEST_QUERY - 2 - longest, 0)]
        most = min(LONGEST_PROMPT, self._positions)
        losses = [self._loss(context[max(len(context) + len(answer) - most, 0) :], answer) for answer in answers]
        return np.array(losses, dtype=np.float64)

    def write(self, prompt: str) -> str:
        """Returns what follows a prompt, greedily.

        The pieces of the new tokens are joined by blanks, up to the first piece after the first that is a stop; that
        is how the original scores titles, sub-words apart.
        """
        torch = self._torch
        room = min(LONGEST_CONTEXT, self._positions - WRITTEN)
        if room < 1:
            raise ValueError(
                f"{self.name} reads {self._positions} tokens; to write {WRITTEN} after a prompt it needs more"
            )
        ids = torch.tensor([self._ids(prompt)[:room]], device=self._model.device)
        with torch.inference_mode():
            # One text at a time needs no padding; a padding id only silences a warning.
            written = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=WRITTEN,
                pad_token_id=self._tokenizer.eos_token_id,
            )[0, ids.shape[1] :]
        pieces = [self._tokenizer.decode([token], skip_special_tokens=True) for token in written.tolist()]
        end = next((n for n, piece in enumerate(pieces) if n > 0 and piece.strip(" ") in _STOPS), len(pieces))
        return " ".join(pieces[:end])

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def _loss(self, context: list[int], answer: list[int]) -> float:
        torch = self._torch
        ids = torch.tensor([context + answer], device=self._model.device)
        with torch.inference_mode():
            logits = self._model(input_ids=ids).logits[0, len(context) - 1 : -1].float()
            return torch.nn.functional.cross_entropy(logits, ids[0, len(context) :]).item()


def model_identity(model: str) -> str:
    """Returns what changes when a language model does: the hash of a folder's files, or the name on the hub."""
    return folder_hash(Path(model)) if Path(model).is_dir() else model
