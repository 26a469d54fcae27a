"""Files of a tokenizer that was made here, as transformers and this library read them."""

import json
from pathlib import Path

from instructor_jax.backbones.tokenizer_habits import TokenizerHabits


def write_tokenizer(content: str, habits: TokenizerHabits, folder: Path) -> None:
    """Writes the content of a `tokenizer.json` and the settings beside it.

    Args:
        content: Of a tokenizer that `habits.finish` has finished, as JSON.
        habits: Of its family.
        folder: Where; it must be there.
    """
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    settings = json.dumps(dict(habits.new_settings), indent=2)
    (folder / "tokenizer_config.json").write_text(settings + "\n", encoding="utf-8")
