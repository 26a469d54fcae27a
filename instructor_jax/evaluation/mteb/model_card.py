"""What a model's card says: the front matter of the README.md in its folder, and a citation in its text."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instructor_jax.io.bounds import SETTINGS_BYTES
from instructor_jax.io.json_files import read_bytes
from instructor_jax.io.printable import one_line

CARD = "README.md"
# ISO 639-1, as cards have them, to what MTEB has: ISO 639-3 with the script (ISO 15924) that it is mostly written in.
_LANGUAGES = {
    "ar": "ara-Arab",
    "cs": "ces-Latn",
    "da": "dan-Latn",
    "de": "deu-Latn",
    "en": "eng-Latn",
    "es": "spa-Latn",
    "fi": "fin-Latn",
    "fr": "fra-Latn",
    "he": "heb-Hebr",
    "hi": "hin-Deva",
    "it": "ita-Latn",
    "ja": "jpn-Jpan",
    "ko": "kor-Hang",
    "nl": "nld-Latn",
    "pl": "pol-Latn",
    "pt": "por-Latn",
    "ru": "rus-Cyrl",
    "sv": "swe-Latn",
    "tr": "tur-Latn",
    "uk": "ukr-Cyrl",
    "vi": "vie-Latn",
    "zh": "zho-Hans",
}
_BIBTEX = re.compile(r"```(?:bibtex|latex)?\s*\n(@\w+\{.*?)\n```", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """What is of use to MTEB; None where a card does not say it.

    Attributes:
        license: Licence, in the hub's short form.
        languages: Languages in MTEB's form, of those in the card that it could be told for.
        base_model: Name of the model that it was made from.
        citation: BibTeX entry.
    """

    license: str | None = None
    languages: tuple[str, ...] | None = None
    base_model: str | None = None
    citation: str | None = None


def read_model_card(folder: Path) -> ModelCard:
    """Reads the card of a model's folder; one that says nothing where there is none.

    Raises:
        ValueError: it is no UTF-8, too large, or its front matter is no YAML.
    """
    file = folder / CARD
    if not file.is_file():
        return ModelCard()
    try:
        text = read_bytes(file, SETTINGS_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text in UTF-8: {error.reason} at byte {error.start}.") from error
    fields = _front_matter(text, file)
    languages = [_LANGUAGES[code] for code in _texts(fields.get("language")) if code in _LANGUAGES]
    citation = _BIBTEX.search(text)
    return ModelCard(
        license=next(iter(_texts(fields.get("license"))), None),
        languages=tuple(languages) or None,
        base_model=next(iter(_texts(fields.get("base_model"))), None),
        citation=citation[1] if citation else None,
    )


def fetch_model_card(name: str, revision: str | None) -> ModelCard:
    """Reads the card of a model on the hub, or in its cache; one that says nothing where there is none, or no network.

    Raises:
        ValueError: it is no UTF-8, too large, or its front matter is no YAML.
    """
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:  # of a model, only what it computes with was fetched
        file = huggingface_hub.hf_hub_download(name, CARD, revision=revision)
    except (EntryNotFoundError, HfHubHTTPError):
        return ModelCard()
    return read_model_card(Path(file).parent)


def _front_matter(text: str, file: Path) -> Mapping[str, Any]:
    """Returns what stands between two lines of three dashes at the beginning, as YAML of plain values."""
    found = re.match(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", text, re.DOTALL)
    if found is None:
        return {}
    import yaml  # of huggingface-hub

    try:
        content = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        raise ValueError(f"the front matter of {file} is no YAML: {one_line(str(error), 300)}") from error
    return content if isinstance(content, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str) and one.strip()]
