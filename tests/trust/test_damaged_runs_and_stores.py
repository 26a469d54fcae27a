"""Damaged stores, caches and run folders are told in one line or made again; strangers' files in their places stay."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.cli import main
from instructor_jax.evaluation.report.files import refuse_other_reports
from instructor_jax.evaluation.runner import read_runs
from instructor_jax.io.array_files import read_array
from instructor_jax.io.file_lock import one_process, only_process
from instructor_jax.text.tokenization import Tokenizer
from instructor_jax.train.data.teacher_vectors import VectorFiles
from instructor_jax.train.data.token_cache import TokenCache
from instructor_jax.train.data.token_cache_writer import open_token_cache
from instructor_jax.train.medi.stats_page import refuse_other_page
from instructor_jax.train.medi.storage.staging import Staging
from instructor_jax.train.medi.storage.store import MediStore
from instructor_jax.train.medi.storage.store_writer import refuse_existing, write_store
from instructor_jax.train.run.metrics_file import cut_after, read_lines
from instructor_jax.train.run.run_folder import check_output, held

from .small_mixture import write_mixture


def word_ids(strings: Sequence[str]) -> list[list[int]]:
    return [[2 + len(word) for word in text.split()] + [1] for text in strings]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A mixture and its token cache; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    store = MediStore(write_mixture(folder / "mix"))
    open_token_cache(store, Tokenizer(word_ids, 32), "words", folder / "mix.tokens")
    return folder


@pytest.fixture
def mix(whole, tmp_path) -> Path:
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy" / "mix"


@pytest.fixture
def cache(mix) -> Path:
    return next(path for path in mix.with_name("mix.tokens").iterdir() if path.is_dir())


def changed(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rows_file(mix: Path) -> Path:
    return next(mix.glob("medi-train*"))


STORES = {
    "info is no JSON": lambda mix: (mix / "dataset_info.json").write_text("{"),
    "info is deep": lambda mix: (mix / "dataset_info.json").write_text("[" * 100_000),
    "info is a list": lambda mix: (mix / "dataset_info.json").write_text("[]"),
    "no metadata": lambda mix: (mix / "metadata.json").unlink(),
    "metadata are cut": lambda mix: (mix / "metadata.json").write_text((mix / "metadata.json").read_text()[:90]),
    "fingerprint is a path": lambda mix: changed(mix / "metadata.json", fingerprint="../../../tmp/x"),
    "fingerprint is a number": lambda mix: changed(mix / "metadata.json", fingerprint=5),
    "ranges overlap": lambda mix: changed(mix / "metadata.json", ranges={"plants": [3, 40]}),
    "ranges are texts": lambda mix: changed(mix / "metadata.json", ranges={"plants": ["0", "40"]}),
    "no ranges": lambda mix: changed(mix / "metadata.json", ranges={}),
    "tasks are a list": lambda mix: changed(mix / "metadata.json", tasks=[]),
    "a task is nothing": lambda mix: changed(mix / "metadata.json", tasks={"plants": None}),
    "rows are cut": lambda mix: rows_file(mix).write_bytes(rows_file(mix).read_bytes()[:9000]),
    "rows are garbage": lambda mix: rows_file(mix).write_bytes(os.urandom(70_000)),
    "rows are empty": lambda mix: rows_file(mix).write_bytes(b""),
    "a file of rows is gone": lambda mix: rows_file(mix).unlink(),
}


@pytest.mark.parametrize("name", STORES)
def test_a_damaged_store_is_told(name, mix, capsys) -> None:
    STORES[name](mix)
    with pytest.raises(ValueError, match=r"mix"):
        MediStore(mix).read([0])
    if "row" not in name:  # a list of tasks does not read rows
        with pytest.raises(SystemExit) as stopped:
            main(["medi", "inspect", str(mix)])
        assert stopped.value.code == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_store_imports_no_module_that_its_features_name(mix, tmp_path, monkeypatch) -> None:
    (tmp_path / "evil_features.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\n")
    monkeypatch.syspath_prepend(tmp_path)
    changed(mix / "features.json", pythonClassName="evil_features.Evil", type="evil_features.Evil")
    assert MediStore(mix).read([0])[0].task == "plants"
    assert not (tmp_path / "ran").exists()


CACHES = {
    "description is cut": lambda cache: (cache / "cache.json").write_text('{"format": 1'),
    "description is a list": lambda cache: (cache / "cache.json").write_text("[]"),
    "another format": lambda cache: changed(cache / "cache.json", format=9),
    "another type of tokens": lambda cache: changed(cache / "cache.json", tokens="object"),
    "no sizes": lambda cache: changed(cache / "cache.json", bytes={}),
    "rows by another number": lambda cache: changed(cache / "cache.json", tasks={"plants": [0, 7]}),
    "rows that begin late": lambda cache: changed(cache / "cache.json", tasks={"plants": [3, 40]}),
    "columns that are none": lambda cache: changed(cache / "cache.json", has=["evil"]),
    "a file is cut": lambda cache: (cache / "query.bin").write_bytes(b"12345678"),
    "a file is gone": lambda cache: (cache / "label.bin").unlink(),
    "texts beyond the last": lambda cache: np.full(40, 10**6, np.int64).tofile(cache / "query.bin"),
    "texts before the first": lambda cache: np.full(40, -1, np.int64).tofile(cache / "positive.bin"),
    "texts that end before they begin": lambda cache: np.fromfile(cache / "text_ends.bin", np.int64)[::-1].tofile(
        cache / "text_ends.bin"
    ),
}


@pytest.mark.parametrize("name", CACHES)
def test_a_damaged_token_cache_is_told_with_what_to_delete(name, cache) -> None:
    assert len(TokenCache(cache).rows) == 40
    CACHES[name](cache)
    with pytest.raises(ValueError, match="Delete the folder to have it made again"):
        _ = TokenCache(cache).rows


def test_a_damaged_note_begins_the_cache_anew(mix, cache) -> None:
    store, parent = MediStore(mix), cache.parent
    os.replace(cache, cache.with_name(f"{cache.name}.writing"))
    writing = cache.with_name(f"{cache.name}.writing")
    (writing / "cache.json").unlink()
    (writing / "written.json").write_text('{"tokens": 5')
    assert len(open_token_cache(store, Tokenizer(word_ids, 32), "words", parent).rows) == 40


def test_a_planted_link_is_not_written_through(mix, cache, tmp_path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    writing = cache.with_name(f"{cache.name}.writing")
    shutil.rmtree(cache)
    writing.mkdir()
    (writing / "tokens.bin").symlink_to(precious)
    with pytest.raises(ValueError, match="did not write"):
        open_token_cache(MediStore(mix), Tokenizer(word_ids, 32), "words", cache.parent)
    for lock in (one_process, lambda path: only_process(path, "works")):
        (tmp_path / "x.lock").unlink(missing_ok=True)
        (tmp_path / "x.lock").symlink_to(precious)
        with pytest.raises(ValueError, match="is a link"), lock(tmp_path / "x.lock"):
            pass
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    "meta",
    ["{", "[]", '{"format": 9}', '{"format": 1, "texts": -1, "dim": 3}', '{"format": 1, "texts": 5, "dim": "3"}'],
)
def test_damaged_vectors_of_a_teacher_are_told(meta, tmp_path) -> None:
    (tmp_path / "teacher.json").write_text(meta)
    with pytest.raises(ValueError, match="Delete the folder"):
        VectorFiles.opened(tmp_path)


def test_arrays_are_never_unpickled(tmp_path) -> None:
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    good = np.zeros((2, 3), np.float32)
    np.save(tmp_path / "good.npy", good)
    assert np.array_equal(read_array(tmp_path / "good.npy", np.float32, (2, 3), "it"), good)
    np.save(tmp_path / "evil.npy", np.array([Evil()], object), allow_pickle=True)
    np.savez(tmp_path / "zip.npz", good)
    os.replace(tmp_path / "zip.npz", tmp_path / "zip.npy")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:-5])
    (tmp_path / "empty.npy").write_bytes(b"")
    np.save(tmp_path / "other.npy", good.T)
    for name in ("evil", "zip", "cut", "empty", "other"):
        with pytest.raises(ValueError, match="delete it to have it made again"):
            read_array(tmp_path / f"{name}.npy", np.float32, (2, 3), "it")
    assert not (tmp_path / "ran").exists()


LINE = {"step": 1, "loss": 1.0, "gradient_norm": 1.0, "learning_rate": 1.0, "padding": 0.1, "seconds": 1.0,
        "tokens_per_second": 5.0, "input_wait": 0.0, "accuracy": None}  # fmt: skip


@pytest.mark.parametrize(
    "bad", ["{", "nothing", "[1]", '{"loss": 1}', '{"step": "1"}', '{"step": 1, "loss": "x"}', "[" * 99_999, "\x00\x01"]
)
def test_a_damaged_line_of_metrics_is_told_and_a_last_one_left_out(bad, tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    line = json.dumps(LINE)
    path.write_text(f"{line}\n{bad}")
    assert read_lines(path) == [LINE]
    path.write_text(f"{line}\n{bad}\n{line}\n")
    with pytest.raises(ValueError, match=r"line 2.*delete that line"):
        cut_after(path, 1)
    assert path.read_text() == f"{line}\n{bad}\n{line}\n"


STRANGERS = {
    "metrics.jsonl": "my own measurements\n",
    "report.html": "<html>mine</html>",
    "model/weights.txt": "mine",
    "tokenizer/notes.txt": "mine",
    "checkpoints/notes.txt": "mine",
    "start": "mine",
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_run_refuses_what_is_not_its_own(name, mix, tmp_path, capsys) -> None:
    output = tmp_path / "run"
    path = output / name
    path.parent.mkdir(parents=True)
    path.write_text(STRANGERS[name])
    with pytest.raises(SystemExit) as stopped:
        main(["train", "tiny", f"data={mix}", f"output={output}"])
    assert stopped.value.code == 2
    assert name.partition("/")[0] in capsys.readouterr().err
    assert path.read_text() == STRANGERS[name]
    assert [one.name for one in output.iterdir()] == [name.partition("/")[0]]


def test_a_run_leaves_other_files_alone_and_works_alone(tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.txt").write_text("x")
    check_output(tmp_path / "run", tmp_path / "data")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is no folder"):
        check_output(tmp_path / "file", tmp_path / "data")
    with held(tmp_path / "run"), pytest.raises(ValueError, match="another process trains into"), held(tmp_path / "run"):
        pass


@pytest.mark.parametrize("place", ["partial", "writing", "old"])
def test_a_build_removes_nothing_of_others(place, tmp_path, capsys) -> None:
    (tmp_path / "a.jsonl").write_text('{"query": "what is it", "positive": "it is that"}\n')
    other = tmp_path / f"mix.{place}" / "thesis.tex"
    other.parent.mkdir()
    other.write_text("mine")
    with pytest.raises(SystemExit) as stopped:
        main(["medi", "import", str(tmp_path / "a.jsonl"), "--to", str(tmp_path / "mix")])
    assert stopped.value.code == 2
    assert "thesis.tex" in capsys.readouterr().err
    assert other.read_text() == "mine"


def test_a_store_with_own_notes_in_it_is_not_replaced(mix) -> None:
    refuse_existing(mix, replace=True)
    (mix / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes\.txt"):
        refuse_existing(mix, replace=True)
    (mix / "notes.txt").unlink()
    changed(mix / "dataset_info.json", name="mnist")
    with pytest.raises(FileExistsError, match="another data set"):
        refuse_existing(mix, replace=True)


def test_a_damaged_staged_task_is_made_again_or_told(tmp_path) -> None:
    store = write_mixture(tmp_path / "mix")
    staging = Staging(tmp_path / "mix.partial")
    entry = staging.finished_task("plants")
    assert entry is not None
    (staging.folder / entry.parts[0]).write_bytes(b"")
    with pytest.raises(ValueError, match="delete plants.json"):
        write_store(tmp_path / "again", staging)
    assert not (tmp_path / "again").exists()
    (staging.folder / "plants.json").write_text('{"name": ')
    assert Staging(staging.folder).finished_task("plants") is None
    assert store.is_dir()


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_an_evaluation_replaces_no_other_report(name, tmp_path) -> None:
    refuse_other_reports(tmp_path)
    (tmp_path / name).write_text("# My own report\n")
    with pytest.raises(FileExistsError, match=name):
        refuse_other_reports(tmp_path)
    with pytest.raises(FileExistsError, match="no page"):
        refuse_other_page(tmp_path / name)


@pytest.mark.parametrize("record", ["{", "[]", "{}", '{"model": 5}', "[" * 99_999])
def test_a_damaged_record_of_an_evaluation_is_told(record, tmp_path) -> None:
    (tmp_path / "runs" / "x").mkdir(parents=True)
    (tmp_path / "runs" / "x" / "run.json").write_text(record)
    with pytest.raises(ValueError, match="Delete its folder to run again"):
        read_runs(tmp_path)
