"""One text of a request, with its instruction."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Item:
    """One text to embed.

    Attributes:
        instruction: Its instruction; "" for none.
        text: The text, or None where token ids were sent.
        ids: The model's token ids of the text, without an instruction.
    """

    instruction: str
    text: str | None = None
    ids: tuple[int, ...] | None = None
