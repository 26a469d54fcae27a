"""A SentencePiece vocabulary trained on the mixture's own texts, as a tokenizer folder that PyTorch's tools open.

For models with random weights: pieces made for the mixture's language give shorter texts than borrowed ones. The
folder has `spiece.model`, which PyTorch users know, and the same model as `tokenizer.json`, which loads in
milliseconds.
"""

import io
import logging
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.backbones.registry import default_backbone
from instructor_jax.io.atomic import TEMPORARY
from instructor_jax.io.ownership import refuse_strangers, remove_own
from instructor_jax.text.new_tokenizer import write_tokenizer

from .token_cache import ExampleSource

logger: logging.Logger = logging.getLogger(__name__)

_TEXTS = 400_000  # sampled; SentencePiece's loss hardly falls beyond
_OURS = re.compile(rf"spiece\.model|tokenizer(_config)?\.json|special_tokens_map\.json|added_tokens\.json|{TEMPORARY}")
_CHARACTERS = 1000  # of a text; a few long documents must not decide the vocabulary


def train_vocabulary(source: ExampleSource, folder: Path, size: int, seed: int = 0, lowercase: bool = False) -> None:
    """Writes a tokenizer folder with at most `size` pieces, the special ones first (pad 0, end 1, unknown 2).

    Args:
        source: Mixture whose texts and instructions are learned from.
        folder: Folder of the tokenizer, which appears whole or not at all. Nothing happens if it is there.
        size: Number of subwords, the special ones included; few texts give fewer.
        seed: Random seed for the sample of texts.
        lowercase: Whether upper-case letters are read as lower-case ones.

    Raises:
        ValueError: The texts have more characters than that.
        ImportError: SentencePiece is absent.
    """
    if folder.is_dir():
        return
    logger.info("training a vocabulary of %d pieces", size)
    proto = _train(_sample(source, seed), size, lowercase)
    beside = folder.with_name(f"{folder.name}.writing")
    refuse_strangers(beside, _OURS, "the place of an unfinished vocabulary")
    remove_own(beside, _OURS)
    beside.mkdir(parents=True)
    (beside / "spiece.model").write_bytes(proto)
    write_fast_tokenizer(proto, beside)
    os.replace(beside, folder)


def _sample(source: ExampleSource, seed: int) -> Iterator[str]:
    """Yields texts of examples drawn evenly, tasks in their order; instructions come as often as in training."""
    total = sum(len(source.rows(task)) for task in source.tasks)
    rows = sorted(random.Random(seed).sample(range(total), min(total, _TEXTS // 2)))
    for start in range(0, len(rows), 1000):
        for example in source.read(rows[start : start + 1000]):
            for side in (example.query, example.positive):
                yield (side.instruction + side.text.strip())[:_CHARACTERS]


def _train(texts: Iterator[str], size: int, lowercase: bool) -> bytes:
    try:
        import sentencepiece
    except ImportError as error:
        raise ImportError("a vocabulary needs SentencePiece: pip install 'instructor-jax[train]'") from error
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=texts,
            model_writer=model,
            vocab_size=size,
            hard_vocab_limit=False,
            model_type="unigram",
            pad_id=0,  # T5's numbers
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            character_coverage=0.9995,
            normalization_rule_name="nmt_nfkc_cf" if lowercase else "nmt_nfkc",  # cf: case folding
            max_sentence_length=4 * _CHARACTERS,
            num_threads=2,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(
            f"no vocabulary of {size} pieces can be learned from these texts; choose another model.encoder.vocab "
            f"({' '.join(str(error).split())[-160:]})."
        ) from error
    return model.getvalue()


def write_fast_tokenizer(proto: bytes, folder: Path) -> None:
    """Writes the SentencePiece model as `tokenizer.json`, with the settings beside it."""
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    parsed: Any = sentencepiece_model_pb2.ModelProto()  # pyright: ignore[reportAttributeAccessIssue]
    parsed.ParseFromString(proto)
    pieces = [(piece.piece, piece.score) for piece in parsed.pieces]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=parsed.trainer_spec.unk_id))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(parsed.normalizer_spec.precompiled_charsmap),
            normalizers.Strip(left=False, right=True),
            normalizers.Replace(Regex(" {2,}"), "▁"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    habits = default_backbone().tokenizer
    habits.finish(tokenizer)
    write_tokenizer(tokenizer.to_str(pretty=True), habits, folder)
