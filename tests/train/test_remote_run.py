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

from .programs import finish, losses, start
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


def test_several_processes_need_a_folder_that_all_see(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("jax.process_count", lambda: 2)
    run = small_run(tmp_path / "data", tmp_path)
    there = small_run(tmp_path / "data", Path("x"))
    there = dataclasses.replace(there, output="memory://b/x")
    with (
        pytest.raises(ValueError, match=r"output='memory://b/x' is for runs of one process; 2 processes need"),
        on_this_machine(there),
    ):
        pass
    with on_this_machine(run) as same:
        assert same is run
