"""Pickles, copies, spawned, forked and threaded use of a loaded model: equal bits, or a clear error at once."""

import copy
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from instructor_jax import INSTRUCTOR, Instructor

from ..small_models import SMALL, UMT5, assert_identical, model_folder

pytestmark = pytest.mark.slow  # processes of their own, each of which imports JAX

PAIRS = [["Represent the title: ", "A river in the north."], ["", "x"], ["Represent the question: ", "Food? " * 30]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("sent") / "model", SMALL, prompts={"query": "Q: "})


@pytest.fixture(scope="module")
def model(folder: Path) -> Instructor:
    return Instructor.from_pretrained(folder, devices=jax.devices()[:1], tokens_per_call=512)


def assert_equal(first: Instructor, second: Instructor) -> None:
    np.testing.assert_array_equal(first.encode(PAIRS), second.encode(PAIRS))
    assert first.config == second.config
    assert first.prompts == second.prompts


# --- pickles and copies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_gives_equal_bits(model: Instructor, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(model, protocol))
    assert type(again) is Instructor
    assert_equal(again, model)
    assert again._ready().devices == model._ready().devices
    assert_identical(again.params, model.params)


@pytest.mark.parametrize("library", ["cloudpickle", "joblib", "dill"])
def test_pickles_of_other_libraries(model: Instructor, library: str, tmp_path: Path) -> None:
    module = pytest.importorskip(library)
    if library == "joblib":
        module.dump(model, tmp_path / "model.joblib")
        again = module.load(tmp_path / "model.joblib")
    else:
        again = module.loads(module.dumps(model))
    assert_equal(again, model)


def test_a_pickle_needs_no_folder(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "gone")
    sender = Instructor.from_pretrained(tmp_path / "gone", devices=jax.devices()[:1], tokens_per_call=512)
    expected, data = sender.encode(PAIRS), pickle.dumps(sender)
    shutil.rmtree(tmp_path / "gone")
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.encode(PAIRS), expected)
    again.save_pretrained(tmp_path / "saved")
    saved = Instructor.from_pretrained(tmp_path / "saved", devices=jax.devices()[:1], tokens_per_call=512)
    np.testing.assert_array_equal(saved.encode(PAIRS), expected)


def test_a_pickle_keeps_the_tokenizer_that_was_sent(folder: Path, tmp_path: Path) -> None:
    """Another tokenizer under the same path in the meantime is not taken for it."""
    shutil.copytree(folder, tmp_path / "changed")
    sender = Instructor.from_pretrained(tmp_path / "changed", devices=jax.devices()[:1], tokens_per_call=512)
    expected, data = sender.encode(PAIRS), pickle.dumps(sender)
    (tmp_path / "changed" / "tokenizer.json").write_text("{}")
    np.testing.assert_array_equal(pickle.loads(data).encode(PAIRS), expected)


def test_a_pickle_keeps_settings_and_kind(folder: Path, model: Instructor) -> None:
    sender = INSTRUCTOR(str(folder), devices=model._ready().devices, tokens_per_call=512, similarity_fn_name="dot")
    sender.max_seq_length = 20
    sender.truncate_dim = 8
    sender.prompts["new"] = "N: "
    data = pickle.dumps(sender)
    again = pickle.loads(data)
    assert (again.max_seq_length, again.truncate_dim, again.similarity_fn_name) == (20, 8, "dot")
    again = pickle.loads(pickle.dumps(again))  # not yet used, and sent on
    again.default_prompt_name = "new"  # changed before it is first used
    assert type(again) is INSTRUCTOR
    assert again.packing.tokens_per_call == 512
    sender.default_prompt_name = "new"
    np.testing.assert_array_equal(again.encode(["x", "y"]), sender.encode(["x", "y"]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("config", [SMALL, UMT5], ids=["t5", "umt5"])
def test_pickles_of_every_type_and_layout(tmp_path: Path, config: Any, dtype: str) -> None:
    made = model_folder(tmp_path / "m", config)
    sender = Instructor.from_pretrained(made, dtype=dtype, devices=jax.devices()[:1], tokens_per_call=64, max_length=32)
    again = pickle.loads(pickle.dumps(sender))
    assert again.dtype == dtype
    np.testing.assert_array_equal(again.encode(["x", "a river"]), sender.encode(["x", "a river"]))


def test_devices_that_are_not_here_are_replaced_by_those_that_are(model: Instructor) -> None:
    state = pickle.loads(pickle.dumps(model))
    object.__setattr__(state._pickled, "device_ids", ("gpu", (0, 1)))
    assert state._ready().devices == jax.local_devices()
    assert np.abs(state.encode(PAIRS) - model.encode(PAIRS)).max() <= 2e-6


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_share_weights_and_have_settings_of_their_own(model: Instructor, copied: Any) -> None:
    other = copied(model)
    assert_equal(other, model)
    assert other._ready()._params is model._ready()._params
    other.max_seq_length = 10
    other.prompts["new"] = "N: "
    other.similarity_fn_name = "dot"
    assert (model.max_seq_length, model.similarity_fn_name) == (512, "cosine")
    assert "new" not in model.prompts
    assert other.model_card_data is not None


# --- processes -----------------------------------------------------------------------------------------------------


def program(text: str, tmp_path: Path, limit: float = 240, **environment: str) -> str:
    """What a Python program prints; it runs in a file, as multiprocessing needs it."""
    file = tmp_path / "program.py"
    file.write_text(textwrap.dedent(text))
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(file)],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", **environment},
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_a_spawned_process_computes_the_same(folder: Path, tmp_path: Path) -> None:
    said = program(
        f"""
        import multiprocessing, numpy as np
        from concurrent.futures import ProcessPoolExecutor
        from instructor_jax import Instructor
        TEXTS = ["a river", "x", "food " * 50]
        if __name__ == "__main__":
            model = Instructor.from_pretrained({str(folder)!r})
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                print((pool.submit(model.encode, TEXTS).result() == model.encode(TEXTS)).all())
        """,
        tmp_path,
    )
    assert said.strip() == "True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_fails_at_once_and_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    said = program(
        f"""
        import multiprocessing, pickle, time
        from instructor_jax import Instructor
        model = Instructor.from_pretrained({str(folder)!r})
        model.encode(["x"])
        data = pickle.dumps(model)
        def attempt(number):
            start = time.perf_counter()
            try:
                if number == 0: model.encode(["x"])
                if number == 1: Instructor.from_pretrained({str(folder)!r})
                if number == 2: pickle.loads(data).encode(["x"])
                if number == 3: next(model.encode_stream(["x"]))
                if number == 4: model.with_params(model.params)
                if number == 5: model.max_seq_length, pickle.dumps(model)
                if number == 6: model.warmup()
                return "computed"
            except RuntimeError as error:
                return f"{{time.perf_counter() - start < 5}} {{'spawn' in str(error)}} {{len(str(error).splitlines())}}"
        with multiprocessing.get_context("fork").Pool(1) as pool:
            print(sorted(set(pool.map(attempt, range(7)))))
            try:
                pool.map(model.encode, [["x"], ["y"]])
            except RuntimeError as error:
                print("was forked from process" in str(error))
        print(model.encode(["x"]).shape)
        """,
        tmp_path,
    )
    assert said.splitlines() == ["['True True 1']", "True", "(1, 12)"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_before_the_model_is_loaded_is_fine(folder: Path, tmp_path: Path) -> None:
    said = program(
        f"""
        import os
        from instructor_jax import Instructor
        child = os.fork()
        shape = Instructor.from_pretrained({str(folder)!r}).encode(["x"]).shape
        if child:
            os.waitpid(child, 0)  # first: two processes that print at once may share a line
        print(shape, flush=True)
        """,
        tmp_path,
    )
    assert said.splitlines() == ["(1, 12)", "(1, 12)"]


# --- threads -------------------------------------------------------------------------------------------------------


def test_eight_threads_with_mixed_options_give_equal_bits(model: Instructor) -> None:
    texts = [f"the river number {number} of the {'small ' * (number % 9)}world" for number in range(90)]
    calls: list[dict[str, Any]] = [
        {"instruction": "Represent the title: "},
        {"batch_size": 3},
        {"truncate_dim": 4},
        {"precision": "ubinary", "truncate_dim": 8},
        {"on_overflow": "mean_of_windows"},
        {"output_value": "token_embeddings"},
        {"normalize_embeddings": True, "return_info": True},
        {"prompt_name": "query"},
    ]
    jobs = calls * 4

    def run(options: dict[str, Any]) -> list[np.ndarray]:
        result = model.encode(texts, **options)
        return list(result[0] if options.get("return_info") else result)

    serial = [run(options) for options in calls]
    with ThreadPoolExecutor(8) as pool:
        for number, found in enumerate(pool.map(run, jobs)):
            for one, other in zip(found, serial[number % len(calls)], strict=True):
                np.testing.assert_array_equal(one, other)


def test_a_pickled_model_is_put_in_place_once_for_all_threads(model: Instructor) -> None:
    again = pickle.loads(pickle.dumps(model))
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: again._ready(), range(16)))
    assert all(engine is engines[0] for engine in engines)
    assert_equal(again, model)
