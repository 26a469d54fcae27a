"""Against a random GPT-2 of two layers whose tokens are bytes, so that every length can be counted by eye."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from instructor_jax.evaluation.prompt_retrieval.language_model import LanguageModel, model_identity  # noqa: E402

pytestmark = pytest.mark.torch

DEMONSTRATIONS = [("2 + 2 =", "four"), ("3 + 3 =", "six")]
OPTIONS = ["one", "seven", "a dozen"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """A model of this size is slower with several threads, on a machine that does other things most of all."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gpt2(tmp_path_factory.mktemp("gpt2"), positions=1100)


def make_gpt2(folder: Path, positions: int) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate([*letters, "<|endoftext|>"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>").save_pretrained(folder)
    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=32, n_positions=positions, vocab_size=len(vocabulary), initializer_range=0.4
    )
    torch.manual_seed(0)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def learner(gpt2: Path) -> LanguageModel:
    return LanguageModel(str(gpt2))


@pytest.fixture(scope="session")
def direct(gpt2: Path) -> Any:
    """The mean of -log p over an option's bytes, from the model's softmax, token by token."""
    model = transformers.GPT2LMHeadModel.from_pretrained(gpt2).eval()
    letters = transformers.AutoTokenizer.from_pretrained(gpt2)

    def loss(context: str, option: str) -> float:
        ids, length = letters(context + option)["input_ids"], len(option)
        with torch.no_grad():
            probabilities = model(torch.tensor([ids])).logits[0].double().softmax(-1)
        return float(
            np.mean([-np.log(probabilities[n - 1, ids[n]].item()) for n in range(len(ids) - length, len(ids))])
        )

    return loss


def test_losses_of_options_by_a_direct_computation(learner: LanguageModel, direct: Any) -> None:
    context = "2 + 2 =\nfour\n\n\n3 + 3 =\nsix\n\n\n4 + 3 ="
    losses = learner.option_losses(DEMONSTRATIONS, "4 + 3 =", OPTIONS)
    expected = [direct(context, f"\n{option}") for option in OPTIONS]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)  # float32 softmax against float64
    assert len(set(np.round(expected, 3))) == len(OPTIONS)  # the model does tell them apart


def test_without_demonstrations_the_query_still_begins_with_newlines(learner: LanguageModel, direct: Any) -> None:
    losses = learner.option_losses([], "4 + 3 =", OPTIONS)
    np.testing.assert_allclose(losses, [direct("\n\n\n4 + 3 =", f"\n{each}") for each in OPTIONS], rtol=1e-5)


def test_a_long_query_loses_its_end(learner: LanguageModel, direct: Any) -> None:
    # 256, less 2, less the longest option with its newline (8 bytes); three newlines count.
    kept = ("\n\n\n" + "x" * 400)[: 256 - 2 - 8]
    losses = learner.option_losses([], "x" * 400, OPTIONS)
    np.testing.assert_allclose(losses, [direct(kept, f"\n{each}") for each in OPTIONS], rtol=1e-5)


def test_a_long_prompt_loses_its_beginning(learner: LanguageModel, direct: Any) -> None:
    many = [(f"{n} is a number called ", "it") for n in range(100, 160)]
    context = "\n\n\n".join(f"{text}\n{output}" for text, output in [*many]) + "\n\n\n" + "what?"
    expected = [direct(context[-(1024 - len(f"\n{each}")) :], f"\n{each}") for each in OPTIONS]
    np.testing.assert_allclose(learner.option_losses(many, "what?", OPTIONS), expected, rtol=1e-5)


def test_a_model_of_fewer_positions_sees_what_it_can(tmp_path: Path) -> None:
    small = LanguageModel(str(make_gpt2(tmp_path / "small", positions=64)))
    losses = small.option_losses(DEMONSTRATIONS * 5, "4 + 3 =", OPTIONS)
    assert np.isfinite(losses).all()
    with pytest.raises(ValueError, match="reads 64 tokens; to write 64"):
        small.write("write a title\n")


def test_writing_is_greedy(learner: LanguageModel, gpt2: Path) -> None:
    model = transformers.GPT2LMHeadModel.from_pretrained(gpt2).eval()
    letters = transformers.AutoTokenizer.from_pretrained(gpt2)
    ids = letters("title:")["input_ids"]
    pieces: list[str] = []
    while len(pieces) < 64 and (not pieces or ids[-1] != letters.eos_token_id):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        pieces.append("" if ids[-1] == letters.eos_token_id else letters.decode(ids[-1:]))
    stops = [n for n, piece in enumerate(pieces) if n > 0 and piece.strip(" ") in ("--", "\n", ";", "#")]
    assert learner.write("title:") == " ".join(pieces[: stops[0]] if stops else pieces)


@pytest.mark.parametrize(
    ("written", "expected"), [("ab\ncd", "a b"), ("\nab#c", "\n a b"), ("abc", "a b c"), ("a-b", "a - b"), (";", ";")]
)
def test_pieces_are_joined_up_to_a_stop_after_the_first(
    learner: LanguageModel, monkeypatch: pytest.MonkeyPatch, written: str, expected: str
) -> None:
    def generate(ids: Any, **_: Any) -> Any:
        return torch.cat([ids, torch.tensor([learner._ids(written)])], dim=1)

    monkeypatch.setattr(learner._model, "generate", generate)
    assert learner.write("title:") == expected


def test_lengths_are_tokens(learner: LanguageModel) -> None:
    assert learner.count("hello") == 5
    assert learner.count("") == 0


def test_a_folder_without_a_language_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no causal language model"):
        LanguageModel(str(tmp_path))


def test_identity_changes_with_the_weights(gpt2: Path, tmp_path: Path) -> None:
    assert model_identity("EleutherAI/gpt-j-6B") == "EleutherAI/gpt-j-6B"
    assert model_identity(str(gpt2)) != model_identity(str(make_gpt2(tmp_path / "other", positions=64)))
