"""Arguments of the library of a wrong type or value: a ValueError that says argument, value and rule; odd ones work."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from instructor_jax import Instruction, Instructor
from instructor_jax.inference.quantization import unit_length

pytestmark = pytest.mark.usefixtures("unchecked")  # so that our own checks are reached

SAME = 2e-6  # float32 under other padding


class Named:
    """A path-like object."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        return self.path


class Sulky:
    """Cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


# --- the model's name ----------------------------------------------------------------------------------------------


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any question to the hub is a failure of the test."""

    def asked(name: str, *args: Any, **options: Any) -> None:
        raise AssertionError(f"the hub was asked for {name!r}")

    monkeypatch.setattr("huggingface_hub.snapshot_download", asked)


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    "name",
    [
        None, "", " ", "\t\n", "None", "null", "undefined", 0, 1, 3.5, True, b"default", b"", [], ["default"], {},
        object(), Sulky(), "a\0b", "a" * 5000, "a/b/c", "../nowhere/at/all", "-x/y", "a b", "a\nb", "caf\u00e9/x",
        "\ud800", Path(), Path("no/such/folder"), Named(None), Named(b"x"), Named(""),
        os.environ.get("NO_SUCH_VARIABLE"), f"{os.environ.get('NO_SUCH_VARIABLE')}", np.array(["default"]),
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:12]!a}" if not isinstance(value, Sulky) else "sulky",
)  # fmt: skip
def test_what_names_no_model_is_told_and_never_asked_of_the_hub(name: Any, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"\w") as caught:
        Instructor.from_pretrained(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("kind", [str, Path, Named])
def test_a_folder_by_any_kind_of_path(tiny_folder: Path, embedder: Instructor, kind: Any) -> None:
    model = Instructor.from_pretrained(kind(str(tiny_folder)), devices=jax.devices()[:1], tokens_per_call=512)
    np.testing.assert_array_equal(model.encode(["x"]), embedder.encode(["x"]))


def test_a_folder_that_is_called_none_is_one(tiny_folder: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "None").symlink_to(tiny_folder)
    monkeypatch.chdir(tmp_path)
    assert Instructor.from_pretrained("None", devices=jax.devices()[:1]).config.embedding_dim == 48


# --- options of loading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": None}, "dtype=None must be 'float32' or 'bfloat16'"),
        ({"dtype": "float16"}, "dtype='float16' must be .*overflow"),
        ({"dtype": "fp32"}, "dtype='fp32' must be"),
        ({"dtype": np.float64}, "must be 'float32' or 'bfloat16'"),
        ({"dtype": 32}, "dtype=32 must be"),
        ({"dtype": ["float32"]}, "dtype=.*must be"),
        ({"max_length": "5"}, "max_length='5' must be a whole number from 2"),
        ({"max_length": 5.0}, "max_length=5.0 must be a whole number"),
        ({"max_length": True}, "max_length=True must be a whole number"),
        ({"max_length": 1}, "max_length=1 must be at least 2"),
        ({"max_length": -1}, "max_length=-1 must be at least 2"),
        ({"max_length": 10**30}, "max_length=10+ must be at most"),
        ({"tokens_per_call": 0}, "tokens_per_call=0 must be at least 1"),
        ({"tokens_per_call": "many"}, "tokens_per_call='many' must be a whole number"),
        ({"tokens_per_call": 2**40}, "tokens_per_call=1099511627776 must be at most"),
        ({"tokens_per_call": float("nan")}, "tokens_per_call=nan must be a whole number"),
        ({"devices": []}, r"devices=\[\] holds no device"),
        ({"devices": ()}, r"devices=\(\) holds no device"),
        ({"devices": "cuda"}, r"devices='cuda': .*cuda13"),
        ({"devices": ["cpu", "tpu"]}, r"devices='tpu': "),
        ({"devices": "CUDA:0"}, "devices='CUDA:0': "),
        ({"devices": "gpus"}, "devices='gpus' is no device"),
        ({"devices": 3.5}, "devices=3.5 must be the name of a device"),
        ({"devices": [None]}, "devices=None must be the name"),
        ({"devices": {"cpu"}}, "devices=.*must be the name"),
        ({"revision": "main"}, "revision='main' is for models on the hub"),
        ({"revision": b"main"}, "revision=b'main' must be a string or None"),
        ({"cache_dir": 5}, "cache_dir=5 must be a string or a path"),
        ({"cache_dir": ""}, "cache_dir='' is empty"),
        ({"local_files_only": "yes"}, "local_files_only='yes' must be True or False"),
        ({"local_files_only": 2}, "local_files_only=2 must be True or False"),
    ],
)
def test_wrong_options_of_loading(tiny_folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Instructor.from_pretrained(tiny_folder, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"dtype": np.float32},
        {"dtype": np.dtype("float32")},
        {"dtype": jax.numpy.float32},
        {"devices": jax.devices()[0]},
        {"devices": "cpu:0"},
        {"devices": np.array(jax.devices()[:1])},
        {"devices": [jax.devices()[0]] * 3},
        {"devices": ("CPU:0", " cpu:0 ")},
        {"max_length": np.int32(512)},
        {"local_files_only": 1},
    ],
)
def test_odd_but_clear_options_of_loading(tiny_folder: Path, embedder: Instructor, options: dict[str, Any]) -> None:
    model = Instructor.from_pretrained(tiny_folder, **{"devices": jax.devices()[:1], "tokens_per_call": 512, **options})
    assert model._ready().devices == jax.devices()[:1]
    np.testing.assert_array_equal(model.encode(["x"]), embedder.encode(["x"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda params: [], "params=.* must be a nested dictionary of arrays, not a list"),
        (lambda params: None, "params=None must be a nested dictionary"),
        (lambda params: {}, "is missing"),
        (lambda params: {**params, "more": np.zeros(3, np.float32)}, "unknown parameter more"),
        (lambda params: {**params, "projection": params["projection"][:, :3]}, "parameter projection has shape"),
        (lambda params: {**params, "projection": 3}, "parameter projection must be an array of floats"),
        (
            lambda params: {**params, "projection": params["projection"].astype(np.int32)},
            "parameter projection must be an array of floats, not int32",
        ),
    ],
)
def test_wrong_weights_are_told(embedder: Instructor, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embedder.with_params(change(embedder.params))


# --- options of encode ---------------------------------------------------------------------------------------------

WRONG = [
    ({"batch_size": "8"}, "batch_size='8' must be a whole number from 1"),
    ({"batch_size": 1.5}, "batch_size=1.5 must be a whole number"),
    ({"batch_size": 8.0}, "batch_size=8.0 must be a whole number"),
    ({"batch_size": True}, "batch_size=True must be a whole number"),
    ({"batch_size": np.True_}, "batch_size=.*True.* must be a whole number"),
    ({"batch_size": 0}, "batch_size=0 must be at least 1"),
    ({"batch_size": -3}, "batch_size=-3 must be at least 1"),
    ({"batch_size": 10**30}, "batch_size=10+ must be at most 2147483647"),
    ({"batch_size": [8]}, r"batch_size=\[8\] must be a whole number"),
    ({"batch_size": float("inf")}, "batch_size=inf must be a whole number"),
    ({"batch_size": Sulky()}, "batch_size=a Sulky must be a whole number"),
    ({"truncate_dim": 2.5}, "truncate_dim=2.5 must be a whole number"),
    ({"truncate_dim": "8"}, "truncate_dim='8' must be a whole number"),
    ({"truncate_dim": True}, "truncate_dim=True must be a whole number"),
    ({"truncate_dim": 0}, "truncate_dim=0 must be between 1 and the model's 48"),
    ({"truncate_dim": -8}, "truncate_dim=-8 must be between 1"),
    ({"truncate_dim": 10**30}, "truncate_dim=10+ must be at most"),
    ({"precision": "int4"}, "precision='int4' must be one of float32, float16, int8, uint8, binary, ubinary"),
    ({"precision": "float64"}, "precision='float64' must be one of"),
    ({"precision": "Int8"}, "precision='Int8' must be one of .* Did you mean"),
    ({"precision": np.int8}, "precision=.* must be one of"),
    ({"precision": ["int8"]}, "precision=.* must be one of"),
    ({"precision": "int8"}, "needs the model's ranges .* calibrate_int8"),
    ({"on_overflow": "ignore"}, "on_overflow='ignore' must be one of warn, error, truncate, mean_of_windows"),
    ({"on_overflow": None}, "on_overflow=None must be one of"),
    ({"on_overflow": ["warn"]}, "on_overflow=.* must be one of"),
    ({"normalize_embeddings": "yes"}, "normalize_embeddings='yes' must be True or False"),
    ({"normalize_embeddings": 3}, "normalize_embeddings=3 must be True or False"),
    ({"instruction": b"Represent: "}, "instruction must be a string, not b'"),
    ({"instruction": 3}, "instruction must be a string, not 3"),
]
WRONG_HERE = [
    *WRONG,
    ({"instruction": "a", "prompt": "b"}, "give one of instruction, prompt and prompt_name"),
    ({"prompt": "a", "prompt_name": "query"}, "give one of instruction, prompt and prompt_name"),
    ({"prompt_name": "query"}, "prompt_name='query' is not in the model's prompts"),
    ({"prompt_name": ["query"]}, "must be a string"),
    ({"prompt": {"a": 1}}, "must be a string"),
    ({"output_value": "embeddings"}, "output_value='embeddings' must be 'sentence_embedding'"),
    ({"output_value": 3}, "output_value=3 must be a string or None"),
    ({"output_value": True}, "output_value=True must be a string or None"),
    ({"output_value": "token_embeddings", "on_overflow": "mean_of_windows"}, "gives one vector per text"),
    ({"convert_to_numpy": "no"}, "convert_to_numpy='no' must be True or False"),
    ({"convert_to_tensor": "pt"}, "convert_to_tensor='pt' must be True or False"),
    ({"return_info": "yes"}, "return_info='yes' must be True or False"),
    ({"show_progress_bar": "tqdm"}, "show_progress_bar='tqdm' must be True or False"),
    ({"device": "cuda"}, r"device='cuda': .*cuda13"),
    ({"device": 7.5}, "device=7.5 must be the name of a device"),
    ({"batchsize": 8}, "encode has no option 'batchsize'. "),
    ({"instructions": "a"}, "encode has no option 'instructions'"),
    ({"normalize": True}, "encode has no option 'normalize'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_HERE)
def test_wrong_options_of_encode(embedder: Instructor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        embedder.encode(["x", "y"], **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options_of_a_stream(embedder: Instructor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(embedder.encode_stream(iter(["x"]), **options))


@pytest.mark.parametrize("sentences", ["a text", None, 3, object()])
def test_a_stream_needs_an_iterable(embedder: Instructor, sentences: Any) -> None:
    with pytest.raises(ValueError, match="sentences must be an iterable of texts or pairs, not a"):
        embedder.encode_stream(sentences)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": np.int64(1)},
        {"batch_size": 2**31 - 1},
        {"precision": None},
        {"convert_to_numpy": 1, "convert_to_tensor": None},
        {"normalize_embeddings": np.True_},
        {"show_progress_bar": None},
        {"instruction": str(Instruction(text_type="title"))[:0]},
        {"device": "cpu"},
    ],
)
def test_odd_but_clear_options_of_encode(embedder: Instructor, options: dict[str, Any]) -> None:
    assert np.abs(embedder.encode(["x", "y"], **options) - embedder.encode(["x", "y"])).max() <= SAME


# --- odd texts -----------------------------------------------------------------------------------------------------

ODD = ["", " ", "\n", "\t", "a", "\u00e4", "\U0001f600", "\u200b", "\x00", "\x1b[31m", "</s>", "<pad>", "a" * 3000]


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_an_odd_text_is_the_same_alone_and_in_company(embedder: Instructor, text: str) -> None:
    together = embedder.encode([*ODD, text, text], on_overflow="truncate")
    alone = embedder.encode(text, on_overflow="truncate")
    for vector in (together[ODD.index(text)], together[-1], together[-2]):
        assert np.abs(vector - alone).max() <= SAME
    assert np.isfinite(alone).all()
    assert abs(float(np.linalg.norm(alone)) - 1) <= 1e-6


@pytest.mark.parametrize("sentences", [[], (), np.array([], dtype=str), [""], ["", ""], [["", ""]], ["x"] * 300])
def test_few_empty_and_equal_texts(embedder: Instructor, sentences: Any) -> None:
    vectors = embedder.encode(sentences)
    assert vectors.shape == (len(sentences), 48)
    assert (np.abs(vectors - vectors[:1]) <= SAME).all()
    states = embedder.encode(sentences, output_value="token_embeddings")
    assert len(states) == len(sentences)
    assert len(embedder.encode(sentences, output_value=None)) == len(sentences)
    assert len(list(embedder.encode_stream(sentences))) == len(sentences)


# --- vectors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("a", [1.0], "first='a' must be vectors of numbers"),
        ([[1.0, 2.0], [3.0]], [1.0, 2.0], "first=.*all of one length"),
        (None, [1.0], "first"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], r"shapes \(1, 2\) and \(1, 3\) do not belong together"),
        (np.zeros((2, 2, 2)), [1.0, 2.0], r"first has the shape \(2, 2, 2\)"),
    ],
)
def test_wrong_vectors_for_similarity(embedder: Instructor, first: Any, second: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embedder.similarity(first, second)


def test_similarity_of_lists_of_vectors(embedder: Instructor) -> None:
    vectors = unit_length(embedder.encode(["a", "b", "c"]))
    np.testing.assert_allclose(embedder.similarity(list(vectors), vectors.tolist()), vectors @ vectors.T, atol=1e-6)
    np.testing.assert_allclose(embedder.similarity_pairwise(vectors, vectors), np.ones(3), atol=1e-6)
    with pytest.raises(ValueError, match="do not belong together"):
        embedder.similarity_pairwise(vectors, vectors[:2])


# --- from elsewhere ------------------------------------------------------------------------------------------------


def test_from_a_thread_of_asyncio(embedder: Instructor) -> None:
    async def several() -> list[np.ndarray]:
        return await asyncio.gather(*(asyncio.to_thread(embedder.encode, [f"text {number}"]) for number in range(6)))

    for number, vectors in enumerate(asyncio.run(several())):
        np.testing.assert_array_equal(vectors, embedder.encode([f"text {number}"]))


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"batch_size": "32"}))
    return file


def test_an_option_read_from_a_file_as_text(embedder: Instructor, settings_file: Path) -> None:
    with pytest.raises(ValueError, match="batch_size='32' must be a whole number from 1 to 2147483647, not a str"):
        embedder.encode(["x"], **json.loads(settings_file.read_text()))
