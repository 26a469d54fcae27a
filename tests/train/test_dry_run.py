"""`train --dry-run`: writes nothing, needs neither data nor output, and says what it could not check."""

from pathlib import Path

import pytest

from instructor_jax.cli import main
from instructor_jax.train.run.preparation import prepare

from .programs import SETTINGS
from .small_runs import small_run, write_mixture


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_mixture(tmp_path_factory.mktemp("data") / "words")


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def dry(capsys, *settings: str) -> dict[str, str]:
    main(["train", "tiny", *SETTINGS, *settings, "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    found = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line[0] not in " n"}
    return found | {"unchecked": " / ".join(line for line in lines if line.startswith("  - ")), "last": lines[-1]}


@pytest.mark.slow
def test_without_data_and_output(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = dry(capsys)
    assert "weights, vectors of 8, from random weights" in told["model"]
    assert told["devices"] == "8 x cpu, 1 processes (data 8, fsdp 1, tensor 1)"
    assert told["step"].startswith("8 groups of 8 x 64 tokens = 4,096; 40 examples where all texts have the most")
    assert "of weights and optimizer state" in told["memory"]
    assert "data: none are given" in told["unchecked"]
    assert "the vocabulary" in told["unchecked"]
    assert told["output"] == "none is set"
    assert told["last"] == "nothing was written"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_with_data_that_no_run_has_read_yet(capsys, data, tmp_path) -> None:
    before = files(data.parent)
    told = dry(capsys, f"data={data}", f"output={tmp_path / 'run'}")
    assert told["mixture"] == "101 rows of 3 tasks, 9 more are held out"  # 60 + 30 + 20 less 4 + 3 + 2
    assert "how long texts are" in told["unchecked"]
    assert files(data.parent) == before
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_with_data_that_a_run_has_read(capsys, data, tmp_path) -> None:
    run = small_run(data, tmp_path / "run", max_length=32)
    prepare(run)
    before = files(data.parent) | files(tmp_path)
    told = dry(capsys, f"data={data}", f"output={tmp_path / 'run'}", "seed=42")
    assert "101 rows of 3 tasks, 0 of them with steps of their own" in told["mixture"]
    assert "of them real; at most" in told["step"]
    assert "how long" not in told["unchecked"]
    assert files(data.parent) | files(tmp_path) == before


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("batch.groups=6", "batch.groups=6 must be a multiple of 8"),
        ("batch.groups=0", "batch.groups=0 must be at least 1"),
        ("batch.rows=2", "batch.rows=2 must be at least 3"),
        ("batch.length=16", "batch.length=16 must be at least model.max_length=32"),
        ("batch.examples=1000", "batch.examples=1000 must be at most 21"),
        ("mixture.rows_per_group=1000", "mixture.rows_per_group=1000 must be at most 21"),
        ("gradient_cache_chunks=3", "gradient_cache_chunks=3 must divide batch.rows=8; possible are [1, 2, 4, 8]"),
        ("loss.dims=[16]", "loss.dims=[16] must be at most 8"),
        ("loss.temperature=-1.0", "loss.temperature=-1.0 must be positive"),
        ("loss.per_task=[{task='all', temperature=0.0}]", "loss.per_task: temperature of 'all'=0.0 must be positive"),
        ("checkpoints.keep=0", "checkpoints.keep=0 must be at least 1"),
        ("held_out.every=0", "held_out.every=0 must be at least 1"),
        ("evaluation.limit=0", "evaluation.limit=0 must be at least 1"),
        ("prefetch=0", "prefetch=0 must be at least 1"),
        ("steps=0", "steps=0 must be at least 1"),
        ("loss.rows_at_a_time=0", "loss.rows_at_a_time=0 must be at least 1"),
        ("optimizer.learning_rate=-1.0", "optimizer.learning_rate=-1.0 must be"),
        ("mesh.data=3", "mesh.data=3 mesh.fsdp=1 mesh.tensor=1 mesh.slices=0 does not fit 8 devices"),
        ("model.layers=3", "unknown setting 'model.layers'; did you mean model.encoder.layers?"),
        ("layers=3", "unknown setting 'layers'; did you mean model.encoder.layers?"),
        ("rows=3", "unknown setting 'rows'; did you mean batch.rows?"),
        ("model.encodr.layers=3", "unknown setting 'model.encodr'; did you mean model.encoder?"),
        ("learning_rte=1e-3", "unknown setting 'learning_rte'; did you mean optimizer.learning_rate?"),
        ("tokenizer=/nowhere", "tokenizer='/nowhere' is no folder"),
        ("mixture.avoid=/nowhere", "mixture.avoid: /nowhere does not exist"),
    ],
)
def test_wrong_settings_are_named_as_they_are_set(capsys, setting: str, message: str) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["train", "tiny", *SETTINGS, setting, "--dry-run"])
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
