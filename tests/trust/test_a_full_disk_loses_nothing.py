"""A full disk ends a command in one line, leaves nothing half written, and the same command goes on after room is made.

The disk is a real one of a few hundred kilobytes where this process may mount one; there the test is skipped elsewhere.
The same places are tried everywhere with writes that fail as on a full disk.
"""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from instructor_jax.cli import main
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.train.data import token_cache_writer
from instructor_jax.train.medi.storage.store import MediStore
from instructor_jax.train.run import export
from instructor_jax.train.run.metrics_file import read_lines

from ..small_models import SMALL, assert_identical, model_folder, random_params, tokenizer_folder
from .small_mixture import write_mixture

SETTINGS = (
    "model.encoder.vocab=90", "model.encoder.embed=16", "model.encoder.heads=2", "model.encoder.head_dim=8",
    "model.encoder.ffn=32", "model.projection=8", "model.max_length=32", "batch.groups=8", "batch.rows=4",
    "batch.length=64", "optimizer.warmup_steps=1", "log.every=1", "log.tensorboard=false", "held_out.rows=0",
    "checkpoints.every=2", "steps=4",
)  # fmt: skip
KIB = 1024


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("data") / "mix", text="some words of a row")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many KiB; called again, it changes its size."""
    place = tmp_path / "disk"
    place.mkdir()

    def sized(kib: int) -> Path:
        again = ("remount," if os.path.ismount(place) else "") + f"size={kib}k"
        command = ["mount", "-t", "tmpfs", "-o", again, "tmpfs", os.fspath(place)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this process may not mount a file system")
        return place

    yield sized
    if os.path.ismount(place):
        subprocess.run(["umount", "-l", os.fspath(place)], capture_output=True, check=False)


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must exit with 2 and say why in the last line; progress may come before it."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        lines = capsys.readouterr().err.replace("\r", "\n").strip().splitlines()
        assert caught.value.code == 2
        assert lines[-1].startswith("instructor-jax: error: ")
        assert sum(line.startswith("instructor-jax: error: ") for line in lines) == 1
        assert "Traceback" not in "".join(lines)
        return lines[-1]

    return run


def runs(*arguments: object) -> None:
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ended:
        code = ended.code
    assert not code


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- A real disk ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("kib", "settings"), [(240, ()), (64, ("tokenizer",))])
def test_a_training_goes_on_when_there_is_room_again(disk, data: Path, tmp_path: Path, fails, kib, settings) -> None:
    output = disk(kib) / "run"  # too small for a vocabulary; where one is given, for a checkpoint
    given = [f"tokenizer={tokenizer_folder(tmp_path / 'tokenizer')}", f"model.encoder.vocab={SMALL.encoder.vocab}"]
    command = ["train", "tiny", f"data={data}", f"output={output}", *SETTINGS, *(given if settings else ())]
    told = fails(*command)
    assert "No space left" in told or "RESOURCE_EXHAUSTED" in told
    assert not (output / "model").exists()
    whole = [path for path in (output / "checkpoints").glob("*") if path.name.isdecimal()]
    disk(64 * KIB)
    runs(*command)
    assert [line["step"] for line in read_lines(output / "metrics.jsonl") if "loss" in line] == [1, 2, 3, 4]
    assert read_params(read_folder(output / "model"))
    assert all(int(path.name) in (2, 4) for path in whole)  # what had its name was whole


@pytest.mark.slow
def test_an_import_and_its_tokens_go_on_when_there_is_room_again(disk, tmp_path: Path, fails) -> None:
    pairs = tmp_path / "pairs.jsonl"
    noise = [os.urandom(40).hex() for _ in range(4000)]  # does not compress below half
    pairs.write_text("".join(json.dumps({"query": f"a {x}", "positive": f"b {x}"}) + "\n" for x in noise))
    place = disk(200)
    told = fails("medi", "import", pairs, "--to", place / "mix")
    assert "No space left" in told or "full" in told
    assert not (place / "mix").exists()
    disk(16 * KIB)
    runs("medi", "import", pairs, "--to", place / "mix")
    assert len(MediStore(place / "mix")) == 4000
    assert names(place) == {"mix"}


def test_convert_leaves_nothing_on_a_full_disk(disk, tmp_path: Path, fails) -> None:
    source = model_folder(tmp_path / "source")
    place = disk(16)
    assert "No space left" in fails("convert", source, place / "out")
    assert names(place) == set()
    disk(16 * KIB)
    main(["convert", str(source), str(place / "out")])
    assert_identical(read_params(read_folder(place / "out")), random_params(SMALL))


# --- Writes that fail as on a full disk, everywhere -----------------------------------------------------------------


class Full:
    """A file to which nothing can be written."""

    def __init__(self, file) -> None:
        self.file = file

    def __getattr__(self, name: str):
        return getattr(self.file, name)

    def write(self, content) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as of a file's `write`, without a name


@pytest.mark.slow
def test_a_full_disk_while_tokens_are_written(data: Path, tmp_path: Path, fails, monkeypatch) -> None:
    mixture = Path(shutil.copytree(data, tmp_path / "mix"))
    opened = token_cache_writer.extended

    @contextlib.contextmanager
    def full(path: Path):
        with opened(path) as file:
            yield Full(file)

    arguments = ("train", "tiny", f"data={mixture}", f"output={tmp_path / 'run'}", *SETTINGS, "steps=2")
    with monkeypatch.context() as patched:
        patched.setattr(token_cache_writer, "extended", full)
        assert "No space left" in fails(*arguments)
    caches = tmp_path / "mix.tokens"
    assert not [path for path in caches.iterdir() if path.is_dir() and (path / "cache.json").is_file()]
    runs(*arguments)
    assert (tmp_path / "run" / "model" / "modules.json").is_file()


@pytest.mark.slow
def test_a_full_disk_while_the_model_is_exported(data: Path, tmp_path: Path, fails, monkeypatch) -> None:
    arguments = ("train", "tiny", f"data={data}", f"output={tmp_path / 'run'}", *SETTINGS, "steps=2")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "run" / "model"))

    with monkeypatch.context() as patched:
        patched.setattr(export, "write_in_pieces", full)
        assert "No space left" in fails(*arguments)
    assert not (tmp_path / "run" / "model").exists()
    runs(*arguments)  # no step is made again
    assert [line["step"] for line in read_lines(tmp_path / "run" / "metrics.jsonl") if "loss" in line] == [1, 2]
    assert (tmp_path / "run" / "model" / "modules.json").is_file()


def test_a_full_disk_while_a_mixture_is_written(tmp_path: Path, fails, monkeypatch) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps({"query": f"q {n}", "positive": f"p {n}"}) + "\n" for n in range(40)))

    def full(path: Path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))

    with monkeypatch.context() as patched:
        patched.setattr("instructor_jax.train.medi.storage.store_writer.ArrayRecordWriter", full)
        assert "No space left" in fails("medi", "import", pairs, "--to", tmp_path / "mix")
    assert not (tmp_path / "mix").exists()
    runs("medi", "import", pairs, "--to", tmp_path / "mix")
    assert len(MediStore(tmp_path / "mix")) == 40
    assert names(tmp_path) == {"mix", "pairs.jsonl"}


# --- Two at once ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_of_two_trainings_into_one_folder_one_works(data: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "instructor_jax", "train", "tiny", f"data={data}", f"output={tmp_path / 'run'}", *SETTINGS
    ]  # fmt: skip
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        for _ in range(2)
    ]
    ends = [(*process.communicate(timeout=300), process.returncode) for process in both]
    codes = sorted(code for *_, code in ends)
    assert codes in ([0, 2], [0, 0]), ends  # the second may come when the first is done, and finds all of it made
    if codes == [0, 2]:
        (told,) = [err.replace("\r", "\n").strip().splitlines()[-1] for _, err, code in ends if code == 2]
        assert told.startswith("instructor-jax: error: another process trains into ")
    steps = [line["step"] for line in read_lines(tmp_path / "run" / "metrics.jsonl") if "loss" in line]
    assert steps == [1, 2, 3, 4]
    assert read_params(read_folder(tmp_path / "run" / "model"))
