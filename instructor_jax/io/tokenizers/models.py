"""The vocabulary of a tokenizer.json, checked: kinds, ids, lengths of pieces, and merges that fit each other.

Lengths are bounded because the search for the best pieces takes time in proportion to the longest piece at every
character. Merges that miss the vocabulary make the tokenizers library read outside its buffers (`bpe/model.rs`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from instructor_jax.io.bounds import SIZE
from instructor_jax.io.json_files import Fields, shown_value

# Characters of a piece. SentencePiece makes pieces of at most 16; vocabularies for source code have runs of 128 blanks.
_PIECE = 128
# Characters of a word; BERT's is 100. Beyond it the word is unknown, up to it every part is looked up.
_WORD = 200


def check_model(fields: Fields) -> Mapping[str, int]:
    """Checks the `model` of a tokenizer.json; returns the id of every piece.

    Raises:
        ValueError: another kind of model, ids or merges that do not fit, or pieces that are too long.
    """
    vocabulary = fields.any("vocab")
    # Files of tokenizers before 0.9 do not say the kind; only Unigram's vocabulary is a list.
    kind = fields.text("type", default="Unigram" if isinstance(vocabulary, list) else "")
    checks = {"Unigram": _unigram, "BPE": _bpe, "WordPiece": _word_piece}
    if kind not in checks:
        raise ValueError(f"{fields.where} has type={shown_value(kind)}; supported are {', '.join(checks)}.")
    ids = checks[kind](fields, vocabulary)
    fields.refuse_unread()
    longest = max(map(len, ids))
    if longest > _PIECE:
        raise ValueError(f"{fields.where} has a piece of {longest:,} characters; supported are {_PIECE}.")
    return ids


def _unigram(fields: Fields, vocabulary: Any) -> Mapping[str, int]:
    rule = f"{fields.where}: the vocab of a Unigram model must be a list of [piece, score]"
    if not _all(vocabulary, list) or not vocabulary or set(map(len, vocabulary)) != {2}:
        raise ValueError(f"{rule}, not {shown_value(vocabulary)}.")
    pieces, scores = zip(*vocabulary, strict=True)
    if not _all(pieces, str) or not _all(scores, float, int) or max(map(abs, scores)) > 1e9:
        raise ValueError(f"{rule}, with scores that are logarithms of probabilities.")
    ids = dict(zip(pieces, range(len(pieces)), strict=True))
    if len(ids) < len(pieces) or "" in ids:
        raise ValueError(f"{rule}; one piece is empty or comes twice.")
    fields.whole("unk_id", most=len(pieces) - 1)
    fields.flag("byte_fallback", default=False)
    return ids


def _bpe(fields: Fields, vocabulary: Any) -> Mapping[str, int]:
    ids = _by_name(fields, vocabulary)
    if fields.number("dropout", default=0.0, least=0.0, most=1.0):
        raise ValueError(f"{fields.where} has a dropout: the same text would get other tokens each time.")
    for name in ("fuse_unk", "byte_fallback", "ignore_merges"):
        fields.flag(name, default=False)
    unknown = fields.text("unk_token", default="")
    if unknown and unknown not in ids:
        raise ValueError(f"{fields.where} has unk_token={shown_value(unknown)}, which is not in its vocabulary.")
    fields.text("end_of_word_suffix", default="")
    prefix = fields.text("continuing_subword_prefix", default="")
    merges = fields.any("merges", default=[])
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges] if _is_list(merges) else [[]]
    for number, pair in enumerate(pairs):
        if not (_is_list(pair) and len(pair) == 2 and _all(pair, str) and _merges(pair, prefix, ids)):
            raise ValueError(f"{fields.where}: merge {number} is not two pieces that make a third of the vocabulary.")
    return ids


def _merges(pair: Sequence[str], prefix: str, ids: Mapping[str, int]) -> bool:
    left, right = pair
    return left in ids and right in ids and right.startswith(prefix) and left + right[len(prefix) :] in ids


def _word_piece(fields: Fields, vocabulary: Any) -> Mapping[str, int]:
    ids = _by_name(fields, vocabulary)
    unknown = fields.text("unk_token", default="[UNK]")
    if unknown not in ids:
        raise ValueError(f"{fields.where} has unk_token={shown_value(unknown)}, which is not in its vocabulary.")
    if len(fields.text("continuing_subword_prefix", default="##")) > _PIECE:
        raise ValueError(f"{fields.where} has a continuing_subword_prefix of more than {_PIECE} characters.")
    fields.whole("max_input_chars_per_word", default=100, most=_WORD)
    return ids


def _by_name(fields: Fields, vocabulary: Any) -> Mapping[str, int]:
    rule = f"{fields.where}: the vocab must be an object of whole numbers from 0 to {SIZE} by piece, each once"
    if not isinstance(vocabulary, dict) or not vocabulary or not _all(list(vocabulary.values()), int):
        raise ValueError(f"{rule}, not {shown_value(vocabulary)}.")
    numbers = vocabulary.values()
    if min(numbers) < 0 or max(numbers) > SIZE or len(set(numbers)) < len(numbers):
        raise ValueError(f"{rule}.")
    return vocabulary


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _all(values: Any, *kinds: type) -> bool:
    """Whether it is a list or tuple of nothing but these kinds; fast, for a quarter of a million of them."""
    return isinstance(values, list | tuple) and set(map(type, values)) <= set(kinds)
