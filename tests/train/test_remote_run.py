"""A run whose mixture and output lie in S3, on a server of this machine; killed while sending, it goes on."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import pytest

from instructor_jax import cli
from instructor_jax.io.remote.folders import MARK, fetched, upload
from instructor_jax.io.remote.runs import whole_steps
from instructor_jax.io.remote.stores import Store
from instructor_jax.train.remote_run import on_this_machine
from instructor_jax.train.run.run_folder import is_own_copy

from .programs import finish, losses, start, start_several, stopped_after
from .small_runs import small_run, write_mixture

STEPS = ("steps=24", "checkpoints.every=4")


@pytest.mark.slow
def test_killed_while_a_checkpoint_is_sent_it_goes_on_elsewhere(bucket: str, tmp_path: Path, monkeypatch) -> None:
    data = write_mixture(tmp_path / "words")
    upload(data, Store(f"{bucket}/words"))
    programs = tmp_path / "programs"
    finish(start(data, tmp_path / "run", STEPS, cache=programs))
    settings = [*STEPS, f"tokenizer={tmp_path / 'run' / 'tokenizer'}"]
    url = f"{bucket}/runs/words"
    first = {"XDG_CACHE_HOME": str(tmp_path / "first machine")}
    program = start(f"{bucket}/words", url, settings, cache=programs, variables=first)
    store, before = Store(url), time.monotonic()
    while not any(name.endswith(MARK) for name in store.files()):
        assert program.poll() is None, program.communicate()[0]
        assert time.monotonic() < before + 300
    program.send_signal(signal.SIGKILL)
    program.communicate()
    whole = whole_steps(store)
    assert 24 not in whole
    for step in whole:
        fetched(f"{url}/checkpoints/{step}")
    unfinished = [name for name in store.files() if name.endswith(MARK)]
    if unfinished:  # else the last file had just come when it was killed
        with pytest.raises(ValueError, match="is not whole"):
            fetched(f"{url}/{os.path.dirname(unfinished[0])}")
    second = {"XDG_CACHE_HOME": str(tmp_path / "second machine")}
    (printed,) = finish(start(f"{bucket}/words", url, settings, cache=programs, variables=second))
    assert f"model: {url}/model; report: {url}/report.html" in printed
    assert not (Path.cwd() / "s3:").exists()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "third machine"))
    copy = fetched(url)
    assert losses(copy) == losses(tmp_path / "run")
    model = (tmp_path / "run" / "model" / "model.safetensors").read_bytes()
    assert (copy / "model" / "model.safetensors").read_bytes() == model
    assert whole_steps(store) == [20, 24]
    cli.main(["export", url, f"{bucket}/models/words"])
    assert (fetched(f"{bucket}/models/words") / "model.safetensors").read_bytes() == model
    cli.main(["convert", f"{bucket}/models/words", f"{bucket}/models/again"])
    assert (fetched(f"{bucket}/models/again") / "model.safetensors").read_bytes() == model


@pytest.mark.slow
def test_several_processes_with_folders_of_their_own_go_on_from_the_store(
    bucket: str, tmp_path: Path, monkeypatch
) -> None:
    """As if in one folder, bit for bit: the first process writes what the others hold; killed, all begin elsewhere."""
    data = write_mixture(tmp_path / "words")
    finish(start(data, tmp_path / "first", ["steps=6"]))
    settings = [*STEPS, f"tokenizer={tmp_path / 'first' / 'tokenizer'}", "mesh.fsdp=2", "mesh.data=2"]
    finish(*start_several(data, tmp_path / "run", settings, processes=2, devices=2))
    url = f"{bucket}/runs/several"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "first machine"))
    programs, store, before = start_several(data, url, settings, processes=2, devices=2), Store(url), time.monotonic()
    while not [step for step in whole_steps(store) if step >= 8]:
        assert all(program.poll() is None for program in programs)
        assert time.monotonic() < before + 300
        time.sleep(0.05)
    programs.pop(1).send_signal(signal.SIGKILL)
    stopped_after(time.monotonic(), programs, 60.0)
    assert 24 not in whole_steps(store)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "second machine"))
    printed = finish(*start_several(data, url, settings, processes=2, devices=2))
    assert "going on from step" in printed[1]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "third machine"))
    copy = fetched(url)
    assert losses(copy) == losses(tmp_path / "run")
    model = (tmp_path / "run" / "model" / "model.safetensors").read_bytes()
    assert (copy / "model" / "model.safetensors").read_bytes() == model
    cli.main(["export", url, str(tmp_path / "exported")])  # from the checkpoint that one process wrote
    assert (tmp_path / "exported" / "model.safetensors").read_bytes() == model
    finish(start(data, url, [*settings[1:3], "steps=24", "checkpoints.every=4", "mesh.data=4"], devices=4))


@pytest.mark.slow
def test_processes_with_other_stores_are_told(bucket: str, tmp_path: Path, monkeypatch) -> None:
    data = write_mixture(tmp_path / "words")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own = {1: [f"output={bucket}/runs/b"]}
    programs = start_several(data, f"{bucket}/runs/a", [], processes=2, devices=1, own=own)
    printed = [program.communicate(timeout=300)[0] for program in programs]
    assert all(program.returncode == 1 for program in programs)
    assert f"output is '{bucket}/runs/a' in process 0 and '{bucket}/runs/b' in 1" in printed[0]


def test_a_run_in_a_folder_stays_there(tmp_path: Path) -> None:
    run = small_run(tmp_path / "data", tmp_path)
    with on_this_machine(run) as same:
        assert same is run


def test_of_several_processes_each_has_a_folder_of_its_own(tmp_path: Path, monkeypatch) -> None:
    """The first goes on from what this machine has and sends it; the second takes what the store has then."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("jax.process_count", lambda: 2)
    monkeypatch.setattr("instructor_jax.train.remote_run.wait_for_all", lambda what: None)
    told: list[dict] = []
    monkeypatch.setattr("instructor_jax.train.remote_run.require_same_facts", told.append)
    run = dataclasses.replace(small_run(tmp_path / "data", Path("x")), output="memory://several/x")

    def state(folder: Path, step: int, content: str) -> Path:
        place = folder / "checkpoints" / str(step) / "state"
        place.mkdir(parents=True)
        (place / "x").write_text(content)
        return place

    with on_this_machine(run) as first:
        state(Path(first.output), 3, "three")
    folders = []
    for index in (0, 1):
        monkeypatch.setattr("jax.process_index", lambda index=index: index)
        with on_this_machine(run) as own:
            folders.append(Path(own.output))
            assert is_own_copy(own.output)
            if index == 1:
                state(folders[1], 9, "of nobody")
            else:
                state(folders[0], 5, "five")
    assert folders[0] != folders[1]
    with on_this_machine(run) as own:
        there = sorted(path.name for path in (Path(own.output) / "checkpoints").iterdir())
    assert there == ["5"]  # the latest of the store alone
    assert whole_steps(Store(run.output)) == [3, 5]
    assert [one["the checkpoint that it goes on from"] for one in told] == [None, 3, 5, 5]
    monkeypatch.setattr("jax.process_count", lambda: 1)
    assert not is_own_copy(folders[0])
