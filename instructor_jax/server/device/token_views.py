"""Tokens as a person sees them: their strings and the characters that they cover, and texts from token ids."""

import threading
from collections.abc import Callable
from typing import Any

from instructor_jax.server.refusals import Refusal


class TokenViews:
    """The folder's tokenizer with its positions; opened when it is first asked for.

    Args:
        opening: Opens the `tokenizers.Tokenizer`; returns None where the model reads bytes.
    """

    def __init__(self, opening: Callable[[], Any]) -> None:
        self._opening = opening
        self._lock = threading.Lock()
        self._opened: Any = None

    def tokens(self, texts: list[str], *, special: bool) -> list[list[dict[str, Any]]]:
        """Returns for each text its tokens: id, text, whether it is special, first character and the one behind.

        Raises:
            Refusal: 422 where the tokenizer has no positions.
        """
        tokenizer = self._tokenizer()
        return [
            [
                {
                    "id": token,
                    "text": string if mask else text[start:stop] or string,
                    "special": bool(mask),
                    "start": None if mask else start,
                    "stop": None if mask else stop,
                }
                for token, string, mask, (start, stop) in zip(
                    encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True
                )
            ]
            for text, encoding in zip(texts, tokenizer.encode_batch(texts, add_special_tokens=special), strict=True)
        ]

    def texts(self, ids: list[list[int]], *, skip_special: bool) -> list[str]:
        """Returns the texts of token ids.

        Raises:
            Refusal: 422 where the tokenizer cannot do that.
        """
        return self._tokenizer().decode_batch(ids, skip_special_tokens=skip_special)

    def _tokenizer(self) -> Any:
        with self._lock:
            if self._opened is None:
                self._opened = self._opening()
        if self._opened is None:
            raise Refusal(422, "this model reads bytes; its tokens are the bytes of the text, each plus 3.")
        return self._opened
