import pytest

from instructor_jax.cli import main
from instructor_jax.train.run.metrics_file import read_lines

from .programs import SETTINGS
from .small_runs import write_mixture


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_mixture(tmp_path_factory.mktemp("data") / "words")


def fails(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        main(["train", *arguments])
    assert exit_info.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_show_prints_every_setting_and_needs_nothing(capsys) -> None:
    main(["train", "tiny", "steps=77", "--show"])
    lines = dict(line.split(" = ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["steps"] == "77"
    assert lines["optimizer.schedule"] == "cosine"
    assert lines["dropout"] == "true"


@pytest.mark.slow
def test_a_run_ends_with_a_model_and_a_report(capsys, data, tmp_path) -> None:
    settings = tmp_path / "run.toml"
    settings.write_text("steps = 9\n[held_out]\nevery = 3\n")
    output = tmp_path / "run"
    main(["train", "tiny", f"data={data}", f"output={output}", *SETTINGS, "steps=6", "--config", str(settings)])
    printed = capsys.readouterr().out
    assert "8 x cpu, 1 processes (data 8, fsdp 1, tensor 1)" in printed
    assert "101 rows of 3 tasks" in printed  # 60 + 30 + 20 less 4 + 3 + 2 held out
    assert "8 groups of 8 x 64 tokens = 4,096" in printed
    assert "6 steps; model:" in printed  # the command line counts more than the file
    assert (output / "report.html").is_file()
    assert (output / "model" / "modules.json").is_file()
    assert [line["step"] for line in read_lines(output / "metrics.jsonl") if "loss" in line] == [1, 2, 3, 4, 5, 6]


def test_wrong_settings_are_one_line(capsys, data, tmp_path) -> None:
    good = [f"data={data}", f"output={tmp_path / 'run'}"]
    assert "no recipe is called 'tinny'" in fails(capsys, "tinny")
    assert "unknown setting 'step'; did you mean steps?" in fails(capsys, "tiny", *good, "step=3")
    assert "set data=FOLDER" in fails(capsys, "tiny")
    assert "holds no mixture" in fails(capsys, "tiny", f"data={tmp_path}", good[1])
    assert "together, or none" in fails(capsys, "tiny", *good, "--processes", "2")
    assert "warmup_steps=50 must be below steps=9" in fails(capsys, "tiny", *good, "steps=9")
    assert "batch.groups=0 must be at least 1" in fails(capsys, "tiny", *good, "batch.groups=0")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_one_line(capsys, data, tmp_path) -> None:
    line = fails(
        capsys,
        "tiny",
        f"data={data}",
        f"output={tmp_path / 'run'}",
        *SETTINGS,
        "optimizer.learning_rate=1e30",
        "optimizer.warmup_steps=0",
        "optimizer.clip_norm=none",
        "steps=4",
    )
    assert "the loss of step" in line
    assert "Lower optimizer.learning_rate" in line
