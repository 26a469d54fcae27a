"""Tokens that are found in a text before anything else, as tokenizer.json and the settings beside it describe them."""

from instructor_jax.io.json_files import Fields, shown_value

_CHARACTERS = 256


def check_added_token(token: Fields) -> str:
    """Checks one added token but for its id; returns its content."""
    content = token.text("content")
    if not 0 < len(content) <= _CHARACTERS:
        raise ValueError(
            f"{token.where} has content={shown_value(content)}; it must have 1 to {_CHARACTERS} characters."
        )
    for flag in ("single_word", "lstrip", "rstrip", "normalized", "special"):
        token.flag(flag, default=False)
    return content
