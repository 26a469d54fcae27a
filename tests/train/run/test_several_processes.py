"""Two real processes of four devices each, over the network of this machine."""

import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from ..cluster.metadata_server import attributes, metadata_server
from ..programs import (
    finish,
    losses,
    start,
    start_on_tpu_vms,
    start_several,
    start_under_slurm,
    start_under_torchrun,
    stopped_after,
    wait_for_step,
)
from ..small_runs import write_mixture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("data") / "words")


@pytest.fixture(scope="module")
def tokenizer(data, tmp_path_factory) -> str:
    output = tmp_path_factory.mktemp("first") / "run"
    finish(start(data, output, ["steps=6"]))
    return f"tokenizer={output / 'tokenizer'}"


@pytest.mark.parametrize("dropout", ["0.0", "0.1"])
def test_two_processes_give_the_curve_of_one(data, tokenizer, tmp_path, dropout: str) -> None:
    settings = [tokenizer, "steps=100", f"model.encoder.dropout={dropout}", "checkpoints.every=50"]
    finish(start(data, tmp_path / "one", settings, devices=1))
    finish(*start_several(data, tmp_path / "two", settings, processes=2, devices=4))
    one, two = (losses(tmp_path / name) for name in ("one", "two"))
    assert [step for step, _ in two] == list(range(1, 101))
    # 100 steps of AdamW at 1e-4 amplify the rounding of sums in another order to 3e-5
    np.testing.assert_allclose([x for _, x in two], [x for _, x in one], atol=1e-4)
    assert (tmp_path / "two" / "model" / "model.safetensors").is_file()


SLICES = ("steps=100", "checkpoints.every=40", "mesh.slices=2", "mesh.fsdp=2")


@pytest.fixture(scope="module")
def two_slices(data, tokenizer, tmp_path_factory) -> Path:
    """A run of two slices of two processes each that nobody disturbed."""
    output = tmp_path_factory.mktemp("slices") / "run"
    finish(*start_several(data, output, [tokenizer, *SLICES], processes=4, devices=1))
    return output


def test_two_slices_of_two_processes_give_the_curve_of_one(data, tokenizer, two_slices, tmp_path) -> None:
    finish(start(data, tmp_path / "one", [tokenizer, "steps=100", "checkpoints.every=100"], devices=1))
    one, two = losses(tmp_path / "one"), losses(two_slices)
    assert [step for step, _ in two] == list(range(1, 101))
    np.testing.assert_allclose([x for _, x in two], [x for _, x in one], atol=1e-4)  # as above


def test_of_two_slices_one_loses_a_process_and_the_run_goes_on(data, tokenizer, two_slices, tmp_path) -> None:
    """The others stop, those of the other slice too; started again, the losses are the same bits."""
    output = tmp_path / "run"
    programs = start_several(data, output, [tokenizer, *SLICES], processes=4, devices=1)
    wait_for_step(output, 50, programs)
    while not (output / "checkpoints" / "40").is_dir():  # it is written in the background
        time.sleep(0.05)
    programs.pop(3).send_signal(signal.SIGKILL)  # the second process of the second slice
    taken = stopped_after(time.monotonic(), programs, 60.0)  # the heartbeat takes half of that where nothing breaks
    print(f"two slices, process 3 killed after step 50: the others stopped in {taken:.1f} s")
    printed = finish(*start_several(data, output, [tokenizer, *SLICES], processes=4, devices=1))
    assert re.search("going on from step [48]0", printed[0])
    assert losses(output) == losses(two_slices)
    weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (output, two_slices)]
    assert weights[0] == weights[1]


def test_slurm_needs_no_flags(data, tokenizer, tmp_path) -> None:
    settings = [tokenizer, "steps=10"]
    finish(start(data, tmp_path / "one", settings, devices=1))
    printed = finish(*start_under_slurm(data, tmp_path / "two", settings, processes=2, devices=1))
    assert "2 processes" in printed[0]
    one, two = (losses(tmp_path / name) for name in ("one", "two"))
    np.testing.assert_allclose([x for _, x in two], [x for _, x in one], atol=1e-4)


def test_torchrun_needs_no_flags(data, tokenizer, tmp_path) -> None:
    pytest.importorskip("torch")
    settings = [tokenizer, "steps=6"]
    finish(start(data, tmp_path / "one", settings, devices=1))
    printed = finish(start_under_torchrun(data, tmp_path / "two", settings, processes=2, devices=1))
    assert "2 processes" in printed[0]
    one, two = (losses(tmp_path / name) for name in ("one", "two"))
    np.testing.assert_allclose([x for _, x in two], [x for _, x in one], atol=1e-4)


def test_a_plain_tpu_vm_slice_needs_no_flags(data, tokenizer, tmp_path) -> None:
    """The metadata servers are of this machine and the devices are CPUs; the command is that of a slice."""
    settings = [tokenizer, "steps=6", "checkpoints.every=3"]
    finish(start(data, tmp_path / "one", settings, devices=1))
    with metadata_server(attributes(0, 2)) as first, metadata_server(attributes(1, 2)) as second:
        printed = finish(*start_on_tpu_vms(data, tmp_path / "two", settings, [first, second], devices=1))
    assert "2 processes" in printed[0]
    one, two = (losses(tmp_path / name) for name in ("one", "two"))
    np.testing.assert_allclose([x for _, x in two], [x for _, x in one], atol=1e-4)


def test_from_one_process_to_two_the_same_batches_go_on(data, tokenizer, tmp_path) -> None:
    """The run is stopped after 20 of 40 steps, as a kill would, and goes on with other processes and another mesh."""
    common = [tokenizer, "optimizer.schedule_steps=40"]
    finish(start(data, tmp_path / "whole", [*common, "steps=40"], devices=8))
    # the output folder of the run's first half, as a kill after step 20 leaves it
    half = start(data, tmp_path / "run", [*common, "steps=40", "checkpoints.every=20"], devices=8)
    while not (tmp_path / "run" / "checkpoints" / "20").is_dir():
        assert half.poll() is None
    half.kill()
    half.communicate()
    finish(*start_several(data, tmp_path / "run", [*common, "steps=40", "mesh.fsdp=2"], processes=2, devices=4))
    one, two = (losses(tmp_path / name) for name in ("whole", "run"))
    assert [step for step, _ in two] == list(range(1, 41))
    np.testing.assert_allclose([x for _, x in two], [x for _, x in one], atol=1e-4)
