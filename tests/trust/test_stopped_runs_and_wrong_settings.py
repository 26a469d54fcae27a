"""A stopped training is not taken for a finished one; settings that cannot be are named before any work."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from instructor_jax.cli import main
from instructor_jax.evaluation.hub_access import offline_unless_reachable
from instructor_jax.train.cluster.detection import in_cluster
from instructor_jax.train.run.distributed import Processes
from instructor_jax.train.run.metrics_file import read_lines
from instructor_jax.train.run.preemption import INTERRUPTED, PREEMPTED, StoppedEarly, StopRequest

from .small_mixture import write_mixture

SETTINGS = (
    "model.encoder.vocab=90", "model.encoder.embed=16", "model.encoder.heads=2", "model.encoder.head_dim=8",
    "model.encoder.ffn=32", "model.projection=8", "model.max_length=32", "batch.groups=8", "batch.rows=4",
    "batch.length=64", "optimizer.warmup_steps=5", "log.every=1", "log.tensorboard=false", "held_out.rows=0",
    "checkpoints.every=100000", "steps=100000",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("data") / "mix", text="some words of a row")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_training_that_is_stopped_has_an_exit_code_of_its_own(number, code, data, tmp_path, capsys) -> None:
    output = tmp_path / "run"

    def send() -> None:
        while not (output / "metrics.jsonl").is_file() or not (output / "metrics.jsonl").stat().st_size:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    with pytest.raises(SystemExit) as stopped:
        main(["train", "tiny", f"data={data}", f"output={output}", *SETTINGS])
    sender.join()
    assert stopped.value.code == code
    assert "stopped and saved at step" in capsys.readouterr().out
    made = [line["step"] for line in read_lines(output / "metrics.jsonl") if "loss" in line]
    assert [path.name for path in (output / "checkpoints").iterdir() if path.name.isdecimal()] == [str(made[-1])]
    assert not (output / "model").exists()


def test_before_the_first_step_the_code_is_the_same() -> None:
    for number, code in ((signal.SIGTERM, PREEMPTED), (signal.SIGINT, INTERRUPTED)):
        with StopRequest(), pytest.raises(StoppedEarly) as stopped:  # noqa: PT012 - the handler runs soon after
            os.kill(os.getpid(), number)
            time.sleep(1)
        assert stopped.value.exit_code == code


def fails(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "tiny", *arguments])
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert len(lines[0]) < 400
    return lines[0]


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("steps=0", "steps=0"),
        ("steps=-5", "steps=-5"),
        ("steps=1000000000000", "steps=1000000000000 must be at most"),
        ("steps=true", "steps=True must be a whole number"),
        ("steps=1.5", "steps=1.5 must be a whole number"),
        ("steps='7'", "must be a whole number"),
        ("steps=" + "9" * 5000, "must be a whole number"),
        ("steps=" + "[" * 5000, "steps="),
        ("stepps=5", "did you mean steps?"),
        ("optimizer.learning_rat=1", "did you mean optimizer.learning_rate?"),
        ("=5", "is no setting"),
        ("steps", "is no setting"),
        ("steps.x=5", "must be a whole number"),
        ("optimizer=5", "has fields"),
        ("optimizer.learning_rate=nan", "learning_rate=nan"),
        ("optimizer.learning_rate=0", "learning_rate=0.0 must be positive"),
        ("optimizer.learning_rate=-1", "learning_rate=-1.0 must be positive"),
        ("optimizer.learning_rate=inf", "learning_rate=inf must be positive"),
        ("optimizer.clip_norm=nan", "clip_norm=nan"),
        ("mixture.temperature=nan", "temperature=nan"),
        ("loss.temperature=0", "loss.temperature=0.0 must be positive"),
        ("dtype=float64", "one of float32, bfloat16"),
        ("batch.groups=1000000000000", "batch.groups=1000000000000 must be at most"),
        ("batch.negatives=1000000000", "batch.negatives=1000000000 must be at most"),
        ("workers=1000000", "workers=1000000 must be at most"),
        ("prefetch=0", "prefetch=0"),
        ("model.encoder.layers=1000000000", "layers=1000000000"),
        ("checkpoints.every=0", "every=0"),
        ("seed=99999999999999999999999", "seed="),
        ("dropout=1", "dropout=1 must be true or false"),
        ("mixture.only=5.5e400", "no task is called"),
    ],
)
def test_a_setting_that_cannot_be_is_named_before_any_work(setting, problem, data, tmp_path, capsys) -> None:
    line = fails(capsys, f"data={data}", f"output={tmp_path / 'run'}", setting)
    assert problem in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"steps = ", "is not TOML"),
        (b"steps = \xff", "is not TOML"),
        (b"x = " + b"[" * 9999, "is not TOML"),
        (b"stepps = 5", "did you mean steps?"),
        (b'init_from = "a\\u0000b"', "NUL"),
    ],
)
def test_a_file_of_settings_that_cannot_be_is_told(content, problem, data, tmp_path, capsys) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    assert problem in fails(capsys, f"data={data}", f"output={tmp_path / 'run'}", "--config", str(path))


@pytest.mark.parametrize("value", ["", "two", "-1", "1e3", "\x1b[31m", "9" * 30])
@pytest.mark.parametrize("name", ["SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"])
def test_variables_of_schedulers_that_cannot_be_are_named(name, value) -> None:
    with pytest.raises(ValueError, match=f"{name}=.*unset it") as told:
        in_cluster({name: value, "SLURM_PROCID": "0"})
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize("coordinator", ["", "host", "host:", "host:port", "http://host:1", "a b:1", ":1"])
def test_a_coordinator_that_cannot_be_is_refused(coordinator) -> None:
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        Processes(coordinator, 2, 0)


def test_a_password_in_an_address_is_not_logged(monkeypatch, caplog) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for endpoint in ("http://me:secret@127.0.0.1:9/", "file://me:secret@/etc/passwd"):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert not offline_unless_reachable(timeout=0.2)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert "secret" not in caplog.text
    assert "cannot be reached" in caplog.text
