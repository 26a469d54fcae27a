"""Folders that go to a store and come back: the same bytes, and never a half-written one."""

import shutil
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFile

from instructor_jax.io.hub import resolve_model
from instructor_jax.io.remote.folders import MARK, fetched, joined, remove, require_free, upload, written
from instructor_jax.io.remote.runs import Sender, begin_from_store, fetched_run, whole_steps
from instructor_jax.io.remote.stores import Store, is_store, require_served

URL = "memory://bucket/folder"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


CONTENT = {"config.json": b"{}", "1_Pooling/config.json": b"[1]", "model.safetensors": b"\0" * 1000}


def test_there_and_back(memory, tmp_path: Path) -> None:
    with written(URL) as folder:
        made(folder, CONTENT)
        assert not memory.find("bucket")  # nothing before all of it is there
    assert files(fetched(URL)) == CONTENT
    assert fetched(URL) == fetched(URL + "/") == resolve_model(URL)
    with pytest.raises(ValueError, match="exists and is not an empty folder"), written(URL):
        pass
    assert files(fetched(joined(URL, "1_Pooling"))) == {"config.json": b"[1]"}
    with written(tmp_path / "local") as local:
        assert local == tmp_path / "local"


def test_a_changed_folder_is_fetched_anew(memory) -> None:
    memory.pipe_file("/bucket/folder/a", b"1")
    first = fetched(URL)
    memory.pipe_file("/bucket/folder/a", b"2")
    assert files(fetched(URL)) == {"a": b"2"}
    assert files(first) == {"a": b"1"}


@pytest.mark.parametrize("after", range(4))
def test_an_interrupted_writer_leaves_nothing_that_is_taken_for_whole(
    memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    folder = made(tmp_path / "whole", CONTENT)
    put, count = memory.put_file, iter(range(after))

    def breaking(*arguments) -> None:
        if next(count, None) is None:
            raise ConnectionError("the network is gone")
        put(*arguments)

    monkeypatch.setattr(type(memory), "put_file", lambda self, *arguments: breaking(*arguments))
    if after < len(CONTENT):
        with pytest.raises(ConnectionError):
            upload(folder, Store(URL))
        with pytest.raises(ValueError, match=f"is not whole: {MARK}"):
            fetched(URL)
        require_free(URL)  # it can be written again
        monkeypatch.undo()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    upload(folder, Store(URL))
    assert files(fetched(URL)) == CONTENT


def test_what_is_replaced_or_removed_is_gone(memory, tmp_path: Path) -> None:
    upload(made(tmp_path / "one", CONTENT), Store(URL))
    upload(made(tmp_path / "two", {"b": b"2"}), Store(URL))
    assert files(fetched(URL)) == {"b": b"2"}
    remove(Store(URL))
    assert memory.find("bucket") == []
    with pytest.raises(ValueError, match="there is no folder 'memory://bucket/folder'"):
        fetched(URL)


def test_a_file_that_changes_meanwhile_is_refused(memory, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe_file("/bucket/folder/a", b"1")
    get = type(memory).get_file

    def changed(self, *arguments) -> None:
        get(self, *arguments)
        self.pipe_file("/bucket/folder/a", b"2")

    monkeypatch.setattr(type(memory), "get_file", changed)
    with pytest.raises(OSError, match="changed while it was fetched"):
        fetched(URL)


def test_names_stay_within_the_folder(memory, cache: Path) -> None:
    memory.store["/bucket/folder/../../evil"] = memory.store.get("x") or MemoryFile()
    with pytest.raises(ValueError, match="no name of a file in a folder"):
        fetched(URL)
    assert not cache.exists()


@pytest.mark.parametrize("url", ["memory://", "s3://", "s3:///"])
def test_a_store_alone_is_no_folder(url: str) -> None:
    if url.startswith("s3:"):
        pytest.importorskip("s3fs")
    with pytest.raises(ValueError, match=r"names no folder; write \w+://BUCKET/FOLDER"):
        Store(url)


def test_which_urls_are_stores() -> None:
    assert is_store("s3://b/x")
    assert not is_store("http://b/x")
    assert not is_store("file:///b/x")
    assert not is_store("runs/x")
    require_served("output", "runs/x")
    with pytest.raises(ValueError, match="give the path alone"):
        require_served("output", "file:///b/x")
    with pytest.raises(ValueError, match="adlfs: pip install adlfs"):
        require_served("output", "az://b/x")


def checkpoint(folder: Path, step: int) -> None:
    made(folder / f"checkpoints/{step}", {"state/a": b"%d" % step, "about/metadata": b"{}"})


def test_checkpoints_of_a_run_follow_those_of_this_machine(memory, tmp_path: Path) -> None:
    here, store = tmp_path / "here", Store(URL)
    sender = Sender(here, store)
    made(here, {"metrics.jsonl": b"{}\n", "train.lock": b"", "model_settings/config.json": b"{}"})
    checkpoint(here, 1)
    checkpoint(here, 2)
    made(here / "checkpoints/3.orbax-checkpoint-tmp", {"state/a": b"half"})
    sender.finish()
    assert whole_steps(store) == [1, 2]
    assert not [name for name in store.files() if "lock" in name or "tmp" in name]
    memory.pipe_file(f"/bucket/folder/checkpoints/3/{MARK}", b"")  # a writer was killed
    memory.pipe_file("/bucket/folder/checkpoints/3/state/a", b"half")
    assert whole_steps(store) == [1, 2]
    assert files(fetched_run(URL, "latest")) == {
        "model_settings/config.json": b"{}", "checkpoints/2/state/a": b"2", "checkpoints/2/about/metadata": b"{}",
    }  # fmt: skip
    with pytest.raises(ValueError, match="no checkpoint of step 3; there are 1, 2"):
        fetched_run(URL, 3)
    there = tmp_path / "there"
    begin_from_store(store, there)
    assert not memory.find("/bucket/folder/checkpoints/3")
    assert files(there) == {
        "metrics.jsonl": b"{}\n", "model_settings/config.json": b"{}",
        **{f"checkpoints/{step}/{name}": data for step in (1, 2)
           for name, data in {"state/a": b"%d" % step, "about/metadata": b"{}"}.items()},
    }  # fmt: skip


def test_a_checkpoint_that_is_removed_while_it_is_sent_leaves_nothing(memory, tmp_path: Path, monkeypatch) -> None:
    here, store = tmp_path / "here", Store(URL)
    checkpoint(here, 1)
    checkpoint(here, 2)
    put = type(memory).put_file

    def removing(self, path: str, *arguments) -> None:
        if path.endswith("checkpoints/1/about/metadata"):
            Path(path).unlink()  # as Orbax does, file by file
            shutil.rmtree(Path(path).parents[1] / "state")
        put(self, path, *arguments)

    monkeypatch.setattr(type(memory), "put_file", removing)
    Sender(here, store).finish()
    assert whole_steps(store) == [2]
    assert not memory.exists("/bucket/folder/checkpoints/1")


def test_a_later_checkpoint_of_this_machine_is_gone_on_from(memory, tmp_path: Path, caplog) -> None:
    here, store = tmp_path / "here", Store(URL)
    checkpoint(here, 5)
    begin_from_store(store, here)
    assert files(here) == {}  # the store knows no such run
    memory.pipe_file("/bucket/folder/metrics.jsonl", b"")
    checkpoint(here, 5)
    begin_from_store(store, here)
    assert (here / "checkpoints/5/state/a").is_file()
    assert "going on from step 5" in caplog.text
