"""A model folder that cannot be written: one clear error, nothing left, nobody's files touched."""

import contextlib
import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor_jax.config import ModelConfig
from instructor_jax.io import folder_writer
from instructor_jax.io.folder_writer import write_own, write_sentence_transformers
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.io.model_folder import ModelFolder

from ..small_models import SMALL, UMT5, assert_identical, random_params, tokenizer_folder

WRITERS = {"sentence-transformers": write_sentence_transformers, "own": write_own}
ERRORS = {
    "no space": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "read-only": OSError(errno.EROFS, os.strerror(errno.EROFS)),
    "no right": PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
    "quota": OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
}


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return ModelFolder(tokenizer_folder(tmp_path / "tokenizer"), SMALL, {"query": "Q: "}, similarity_fn_name="dot")


@pytest.mark.parametrize("step", ["_write_json", "copy_tokenizer", "write_safetensors", "os.replace"])
@pytest.mark.parametrize("name", ERRORS)
def test_nothing_is_left(
    tmp_path: Path, folder: ModelFolder, name: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ERRORS[name]

    owner = os if step == "os.replace" else folder_writer
    before = set(tmp_path.rglob("*"))
    monkeypatch.setattr(owner, step.removeprefix("os."), fail)
    target = tmp_path / "new" / "deep" / "m"
    with pytest.raises(OSError, match=f"{target} cannot be written: {ERRORS[name].strerror}") as caught:
        write_sentence_transformers(target, folder, random_params(SMALL))
    assert "\n" not in str(caught.value)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("writer", WRITERS)
def test_a_parent_that_is_a_file(tmp_path: Path, folder: ModelFolder, writer: str) -> None:
    (tmp_path / "file").write_text("dear")
    with pytest.raises(OSError, match="cannot be written"):
        WRITERS[writer](tmp_path / "file" / "m", folder, random_params(SMALL))
    assert (tmp_path / "file").read_text() == "dear"


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system in memory")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk(tmp_path: Path, folder: ModelFolder, writer: str) -> None:
    with small_disk(tmp_path / "disk", "32k") as disk:
        with pytest.raises(OSError, match="cannot be written"):
            WRITERS[writer](disk / "new" / "m", folder, random_params(SMALL))
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("points_to", ["nowhere", "an empty folder", "a folder", "a file"])
def test_a_link_is_not_replaced(tmp_path: Path, folder: ModelFolder, writer: str, points_to: str) -> None:
    place = tmp_path / "place"
    if points_to == "a file":
        place.write_text("dear")
    elif points_to != "nowhere":
        place.mkdir()
        if points_to == "a folder":
            (place / "mine.txt").write_text("dear")
    (tmp_path / "m").symlink_to(place)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="m is a symbolic link"):
        WRITERS[writer](tmp_path / "m", folder, random_params(SMALL))
    assert set(tmp_path.rglob("*")) == before
    assert (tmp_path / "m").is_symlink()


@pytest.mark.parametrize("name", ["-dash", "new\nline", "a" * 200, "ä\u202e", " ", ".hidden", "m.partial"])
def test_odd_names(tmp_path: Path, folder: ModelFolder, name: str) -> None:
    write_sentence_transformers(tmp_path / "out" / name, folder, random_params(SMALL))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    assert read_folder(tmp_path / "out" / name).config == SMALL


def test_a_name_that_is_too_long(tmp_path: Path, folder: ModelFolder) -> None:
    with pytest.raises(OSError, match="cannot be written|too long"):
        write_sentence_transformers(tmp_path / ("a" * 300), folder, random_params(SMALL))
    assert {path.name for path in tmp_path.iterdir()} == {"tokenizer"}


def test_two_writers_on_one_target(tmp_path: Path, folder: ModelFolder) -> None:
    """One of them wins; the other gets an error, and what is there is whole."""
    barrier, results = threading.Barrier(2), []

    def run(seed: int) -> None:
        barrier.wait()
        try:
            write_sentence_transformers(tmp_path / "m", folder, random_params(SMALL, seed=seed))
            results.append(None)
        except (OSError, ValueError) as error:
            results.append(str(error))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(None) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"m", "tokenizer"}
    found = read_params(read_folder(tmp_path / "m"))
    wanted = [random_params(SMALL, seed=seed) for seed in (1, 2)]
    assert sum(np.array_equal(found["projection"], each["projection"]) for each in wanted) == 1


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "config",
    [SMALL, UMT5, ModelConfig(SMALL.encoder, projection=3, normalize=False, max_length=77, pool_instruction=True)],
    ids=["t5", "umt5", "instruction pooled"],
)
def test_what_is_written_is_read(tmp_path: Path, folder: ModelFolder, writer: str, config: ModelConfig) -> None:
    written = ModelFolder(folder.path, config, {"query": "Q: "}, "query", similarity_fn_name="dot")
    WRITERS[writer](tmp_path / "m", written, random_params(config))
    found = read_folder(tmp_path / "m")
    assert (found.config, found.prompts, found.default_prompt_name) == (config, {"query": "Q: "}, "query")
    assert found.similarity_fn_name == "dot"
    assert_identical(read_params(found), random_params(config))
