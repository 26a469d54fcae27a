"""`encode` and its options on a tiny model: what old code calls, what each option changes, and every refusal."""

import inspect
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from instructor_jax import INSTRUCTOR, Instructor
from instructor_jax.inference.encode_info import TruncationWarning

from .small_models import SMALL, model_folder

# float32: the same sums over other padding; vectors have unit length
SAME = 2e-6
TEXTS = ["A river in the north.", "", "x", "3.14 and äöü", "the water of a small river " * 9, "Food; music: film?"]
INSTRUCTIONS = ["Represent the Science title: ", "", "Represent", "Represent the question for retrieval: "]
PAIRS = [[instruction, text] for instruction in INSTRUCTIONS for text in TEXTS]
LONG = "the river and the water of the world " * 90  # about 700 tokens, the limit is 512


def close(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(np.abs(np.asarray(first) - np.asarray(second)).max() <= SAME)


# --- Old code ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_signature_of_the_original_by_position(embedder: Instructor) -> None:
    names = list(inspect.signature(Instructor.encode).parameters)[1:]
    assert names[:8] == [
        "sentences", "batch_size", "show_progress_bar", "output_value",
        "convert_to_numpy", "convert_to_tensor", "device", "normalize_embeddings",
    ]  # fmt: skip
    vectors = embedder.encode(PAIRS, 32, False, "sentence_embedding", True, False, "cpu", True)
    assert close(vectors, embedder.encode(PAIRS))
    for parameter in list(inspect.signature(Instructor.encode).parameters.values())[9:]:
        assert parameter.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)


def test_the_name_and_the_options_of_the_original(tiny_folder: Path, embedder: Instructor) -> None:
    model = INSTRUCTOR(str(tiny_folder), device="cpu", cache_folder="unused")
    assert isinstance(model, Instructor)
    assert model.max_seq_length == 512
    assert model.get_sentence_embedding_dimension() == model.get_embedding_dimension() == 48
    assert close(model.encode([["Represent the title: ", "x"]]), embedder.encode([["Represent the title: ", "x"]]))
    with pytest.raises(ValueError, match=r"device='cuda': .*instructor-jax\[cuda13\]"):
        INSTRUCTOR(str(tiny_folder), device="cuda")


def test_a_device_that_is_not_here_is_refused(embedder: Instructor) -> None:
    assert embedder.encode("x", device="cpu:0").shape == (48,)
    for device in ("cuda", "cuda:1", "tpu", "mps"):
        with pytest.raises(ValueError, match=rf"device='{device}': "):
            embedder.encode("x", device=device)


# --- What may be encoded -------------------------------------------------------------------------------------------


def test_mixed_instructions_equal_one_by_one(embedder: Instructor) -> None:
    vectors = embedder.encode(PAIRS)
    assert (vectors.shape, vectors.dtype) == ((24, 48), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=0, atol=1e-6)  # float32 rounding of a root
    for pair, vector in zip(PAIRS, vectors, strict=True):
        assert close(embedder.encode([pair])[0], vector)
        assert close(embedder.encode(pair[1], instruction=pair[0]), vector)
    title, question = vectors[0], vectors[18]
    assert np.abs(title - question).max() > 0.01  # one text under two instructions


def test_strings_pairs_tuples_and_arrays(embedder: Instructor) -> None:
    expected = embedder.encode([["Represent: ", "x"], ["Represent: ", "y"]])
    for sentences in ([("Represent: ", "x"), ("Represent: ", "y")], (["Represent: ", "x", 0], ["Represent: ", "y", 0])):
        assert close(embedder.encode(sentences), expected)
    for sentences in (["x", "y"], ("x", "y"), np.array(["x", "y"])):
        assert close(embedder.encode(sentences, instruction="Represent: "), expected)


def test_a_single_string_gives_a_single_vector(embedder: Instructor) -> None:
    vector = embedder.encode("x", instruction=INSTRUCTIONS[0])
    assert vector.shape == (48,)
    assert close(vector, embedder.encode([[INSTRUCTIONS[0], "x"]])[0])
    np.testing.assert_array_equal(embedder.encode("x", instruction=INSTRUCTIONS[0], convert_to_numpy=False), vector)


def test_an_empty_list_gives_no_vectors(embedder: Instructor) -> None:
    for on_overflow in ("warn", "error", "truncate", "mean_of_windows"):
        assert embedder.encode([], on_overflow=on_overflow).shape == (0, 48)
    assert embedder.encode([], truncate_dim=8).shape == (0, 8)
    assert embedder.encode([], precision="ubinary").shape == (0, 6)
    assert embedder.encode([], output_value="token_embeddings") == []
    vectors, info = embedder.encode([], return_info=True)
    assert (len(vectors), len(info.token_counts), info.padding, info.calls) == (0, 0, 0.0, 0)


@pytest.mark.parametrize("wrong", [3, None, ["i"], ["i", 3], b"x"])
def test_a_wrong_element_is_named(embedder: Instructor, wrong: object) -> None:
    with pytest.raises(ValueError, match=r"sentences\[70\] is .*expected a string or a pair"):
        embedder.encode([*["x"] * 70, wrong])


def test_indices_count_over_chunks(embedder: Instructor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instructor_jax.inference.encoding.CHUNK", 40)
    texts = [*["x"] * 99, LONG]
    with pytest.raises(ValueError, match="text 99 has 7.. tokens"):
        embedder.encode(texts, on_overflow="error")
    with pytest.warns(TruncationWarning, match=r"1 of 100 texts .*text 99 has"):
        embedder.encode(texts)


# --- Options -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float64"}, "precision='float64' must be one of float32"),
        ({"on_overflow": "ignore"}, "on_overflow='ignore' must be one of warn, error, truncate, mean_of_windows"),
        ({"output_value": "pooled"}, "output_value='pooled' must be 'sentence_embedding'"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"truncate_dim": 49}, "truncate_dim=49 must be between 1 and the model's 48"),
        ({"precision": "int8"}, "needs the model's ranges for 48 dimensions: call calibrate_int8"),
        ({"precision": "binary", "truncate_dim": 7}, "packs 8 dimensions into a byte; 7 do not fit"),
        ({"instruction": 3}, "the instruction must be a string, not 3"),
        ({"instruction": ["a: ", "b: "]}, r"not a list of 2 .*; one for each text goes beside it: \[\[instruction"),
        ({"output_value": "token_embeddings", "on_overflow": "mean_of_windows"}, "gives one vector per text"),
    ],
)
def test_wrong_options_are_refused_before_any_work(embedder: Instructor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embedder.encode(["x", "y"], **options)
    if "output_value" not in options:
        with pytest.raises(ValueError, match=message):  # at the call, or at the latest with the first vector
            next(embedder.encode_stream(iter(["x"]), **options))


def test_named_prompts(embedder: Instructor, tmp_path: Path) -> None:
    embedder.save_pretrained(tmp_path / "named")
    file = tmp_path / "named" / "config_sentence_transformers.json"
    named = {"query": INSTRUCTIONS[3], "passage": INSTRUCTIONS[0]}
    file.write_text(json.dumps({"prompts": named, "default_prompt_name": "passage"}))
    model = Instructor.from_pretrained(tmp_path / "named", devices=jax.devices()[:1], tokens_per_call=512)
    assert model.prompts == named
    query, passage = (embedder.encode("x", instruction=named[name]) for name in ("query", "passage"))
    for vector in (
        model.encode_query("x"),
        model.encode("x", prompt_name="query"),
        model.encode("x", prompt=named["query"]),
    ):
        assert close(vector, query)
    for vector in (model.encode_document("x"), model.encode("x"), model.encode_query("x", prompt_name="passage")):
        assert close(vector, passage)
    assert close(model.encode_query(["x"], instruction="")[0], embedder.encode("x"))
    assert close(embedder.encode_query("x"), embedder.encode("x"))  # a folder without prompts


def test_truncated_dimensions(embedder: Instructor) -> None:
    short = embedder.encode(TEXTS, truncate_dim=16)
    whole = embedder.encode(TEXTS)[:, :16]
    np.testing.assert_allclose(short, whole / np.linalg.norm(whole, axis=1, keepdims=True), rtol=0, atol=SAME)


def test_int8_needs_ranges_that_are_kept(tiny_folder: Path, tmp_path: Path) -> None:
    model = Instructor.from_pretrained(tiny_folder, devices=jax.devices()[:1], tokens_per_call=512)
    words = ["river", "food", "music", "film", "paper", "model", "world", "night", "day", "house"]
    model.calibrate_int8([f"the {one} of {other}" for one in words for other in words])
    model.calibrate_int8([f"the {one} of {other}" for one in words for other in words], truncate_dim=8)
    small = model.encode(TEXTS, precision="int8")
    assert (small.shape, small.dtype) == ((6, 48), np.int8)
    assert model.encode(TEXTS, precision="uint8", truncate_dim=8).shape == (6, 8)
    alone = np.stack([model.encode(text, precision="int8") for text in TEXTS]).astype(int)
    # the vectors move by 1e-7 with their company, which can carry a number over the edge of its step, no further
    assert np.abs(alone - small).max() <= 1
    assert (alone == small).mean() > 0.99
    model.save_pretrained(tmp_path / "saved")
    again = Instructor.from_pretrained(tmp_path / "saved", devices=jax.devices()[:1], tokens_per_call=512)
    np.testing.assert_array_equal(again.encode(TEXTS, precision="int8"), small)


def test_bits(embedder: Instructor) -> None:
    bits = embedder.encode(TEXTS, precision="ubinary")
    np.testing.assert_array_equal(bits, np.packbits(embedder.encode(TEXTS) > 0, axis=1))
    assert embedder.encode(TEXTS, precision="binary").dtype == np.int8


@pytest.mark.torch
def test_tensors(embedder: Instructor) -> None:
    torch = pytest.importorskip("torch")
    tensor = embedder.encode(TEXTS, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), embedder.encode(TEXTS))
    assert embedder.encode("x", convert_to_tensor=True, precision="ubinary").dtype == torch.uint8


def test_without_torch_the_extra_is_named(embedder: Instructor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(ImportError, match=r"pip install 'instructor-jax\[torch\]'"):
        embedder.encode("x", convert_to_tensor=True)


def test_a_list_of_vectors(embedder: Instructor) -> None:
    vectors = embedder.encode(TEXTS, convert_to_numpy=False)
    assert isinstance(vectors, list)  # of tensors where torch is installed, as in the original
    np.testing.assert_array_equal(np.stack([np.asarray(one) for one in vectors]), embedder.encode(TEXTS))


@pytest.mark.slow
def test_normalisation_of_a_model_without_it(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", type(SMALL)(SMALL.encoder, projection=12, normalize=False, max_length=64))
    model = Instructor.from_pretrained(folder, devices=jax.devices()[:1], tokens_per_call=64)
    plain, unit = (
        model.encode(TEXTS, on_overflow="truncate"),
        model.encode(TEXTS, normalize_embeddings=True, on_overflow="truncate"),
    )
    assert np.abs(np.linalg.norm(plain, axis=1) - 1).min() > 0.01
    assert close(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True))


def test_similarity_is_the_cosine(embedder: Instructor) -> None:
    vectors = embedder.encode(TEXTS)
    scores = embedder.similarity(vectors * 3, vectors[:2])
    np.testing.assert_allclose(scores, vectors @ vectors[:2].T, rtol=0, atol=1e-6)  # float32, lengths 3 and 1
    assert embedder.similarity(vectors[0], vectors[0]).shape == (1, 1)
