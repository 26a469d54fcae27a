"""`instructor-jax create`: a model folder with random weights in the published layout, for trying out and as a start.

The tiny size brings a tokenizer of its own, put together from letters and common English words, so that it needs
nothing from anywhere; the published sizes take the tokenizer of a folder.
"""

import dataclasses
import shutil
import string
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.backbones.registry import default_backbone
from instructor_jax.commands.console import say
from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.io.json_files import shown_value
from instructor_jax.option_types import WholeNumber

_TINY = EncoderConfig(embed=64, layers=2, heads=4, head_dim=16, ffn=128)
# Two hundred frequent words are enough for short texts to have fewer tokens than letters.
_WORDS = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you
were her all she there would their we him been has when who will more no if out so said what up its about into than them
can only other new some could time these two may then do first any my now such like our over man me even most made after
also did many before must through back years where much your way well down should because each just those people how too
little state good very make world still own see men work long get here between both life being under never day same
another know while last might us great old year off come since against go came right used take three represent sentence
document question query text title answer science medicine news retrieving retrieval classification clustering similar
duplicate review paper search find music film water river food small large example model data language learning number
"""


def create(
    output: Path,
    *,
    size: str = "tiny",
    tokenizer: Annotated[Path | None, Parameter(help="Folder whose tokenizer files are copied.")] = None,
    seed: WholeNumber = 0,
) -> None:
    """Write a model folder with random weights, in the layout of the published models.

    Its vectors mean nothing until it is trained; it is for trying the
    commands, for tests and as a start for training.

    For example:

      instructor-jax create tiny-model
      instructor-jax create my-base --size t5-base --tokenizer ./t5-base

    Parameters
    ----------
    output:
        The folder to write; must not exist yet.
    size:
        "tiny", or a published size such as instructor-base, gtr-t5-large, t5-v1_1-small.
    seed:
        Random seed of the weights.
    """
    if size != "tiny" and size not in PUBLISHED:
        raise ValueError(f"size {size[:60]!r} is unknown; known are tiny, {', '.join(PUBLISHED)}.")
    if size != "tiny" and tokenizer is None:
        raise ValueError(f"size {size} needs --tokenizer FOLDER: a folder with its tokenizer.json or spiece.model.")
    if not 0 <= seed < 1 << 32:
        raise ValueError(f"--seed {shown_value(seed)} must be at least 0 and less than {1 << 32:,}")
    import jax

    from instructor_jax.io.folder_writer import check_target, write_sentence_transformers
    from instructor_jax.io.model_folder import ModelFolder
    from instructor_jax.nn.model import init_params

    check_target(output)
    with tempfile.TemporaryDirectory() as scratch:
        if tokenizer is None:
            tokenizer = Path(scratch)
            vocabulary = write_tiny_tokenizer(tokenizer)
            config = ModelConfig(dataclasses.replace(_TINY, vocab=vocabulary), projection=48)
        elif size == "tiny":
            config = ModelConfig(dataclasses.replace(_TINY, vocab=_vocabulary(tokenizer)), projection=48)
        else:
            config = PUBLISHED[size]
            _check_tokenizer(tokenizer, config.encoder.vocab)
        params = jax.device_get(init_params(config, seed))
        write_sentence_transformers(output, ModelFolder(tokenizer, config), params)
    _check_opens(output, size, tokenizer)
    say(f"wrote {output}: {size}, random weights, vectors of {config.embedding_dim} dimensions")


def _vocabulary(folder: Path) -> int:
    from instructor_jax.io.tokenizers.folders import vocabulary_size

    size = vocabulary_size(folder)
    if size is None:
        raise ValueError(f"{folder} has no tokenizer.json to take the vocabulary from.")
    return size


def _check_tokenizer(folder: Path, vocabulary: int) -> None:
    from instructor_jax.io.tokenizers.folders import load_token_ids, vocabulary_size

    load_token_ids(folder)
    size = vocabulary_size(folder)
    if size is not None and size > vocabulary:
        raise ValueError(f"the tokenizer in {folder} has {size} tokens; a model of this size knows only {vocabulary}.")


def _check_opens(output: Path, size: str, tokenizer: Path) -> None:
    """Takes a folder away that would not open, as one of T5 with the tokenizer of a BERT that lower-cases texts."""
    from instructor_jax.io.folders import read_folder

    try:
        read_folder(output)
    except ValueError as error:
        shutil.rmtree(output)
        told = str(error).replace(str(output), str(tokenizer))
        raise ValueError(f"the tokenizer in {tokenizer} is not for a model of size {size}: {told}") from error


def write_tiny_tokenizer(folder: Path) -> int:
    """Writes a small tokenizer (Unigram over letters and common words); returns the vocabulary's size."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    from instructor_jax.text.new_tokenizer import write_tokenizer

    habits = default_backbone().tokenizer
    pieces = [*((piece, 0.0) for piece in habits.special), ("▁", -4.0)]
    characters = string.ascii_letters + string.digits + string.punctuation
    pieces += [(mark + character, -8.0) for character in characters for mark in ("▁", "")]
    words = sorted({word for word in _WORDS.split() if len(word) > 1})
    pieces += [("▁" + word, -5.0) for word in words] + [("▁" + word.title(), -6.0) for word in words]
    pieces += [(ending, -6.0) for ending in ("ing", "ed", "er", "ly", "tion", "ment", "es", "al", "en", "th", "st")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=habits.special.index("<unk>")))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    habits.finish(tokenizer)
    write_tokenizer(tokenizer.to_str(pretty=True), habits, folder)
    return tokenizer.get_vocab_size()
