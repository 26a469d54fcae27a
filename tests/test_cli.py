"""The console command: exit codes, one-line errors, and what is not imported."""

import json
import subprocess
import sys

import pytest

from instructor_jax import cli


def run(arguments: list[str]) -> int:
    """Exit code of the command, run in this process."""
    try:
        cli.main(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    return 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["encod", "x"], "did you mean 'encode'?"),
        (["quux"], "the commands are encode"),
        (["encode"], "requires an argument"),
        (["encode", "a.txt"], "--output"),
        (["encode", "a.txt", "-o", "b.npy", "--modle", "m"], "Did you mean --model?"),
        (["encode", "a.txt", "-o", "b.npy", "--dtype", "float16", "-m", "m"], "Choose from"),
        (["encode", "absent.txt", "-o", "b.npy", "-m", "m"], "absent.txt: No such file or directory"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_expected_failures_are_one_line_and_exit_code_2(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("instructor-jax: error: ")
    assert output.err.count("\n") == 1
    assert says in output.err
    assert list(tmp_path.iterdir()) == []  # nothing half written


def test_an_error_names_the_help_of_its_verb(capsys):
    run(["encode", "--modle"])
    assert "instructor-jax encode --help" in capsys.readouterr().err


def test_the_traceback_of_an_expected_failure_can_be_seen(monkeypatch):
    monkeypatch.setenv("INSTRUCTOR_JAX_TRACEBACK", "1")
    with pytest.raises(ValueError, match="unknown suffix"):
        cli.main(["encode", "a.txt", "-o", "b.txt"])


def test_a_bug_is_one_line_that_says_so_and_an_exit_code_of_its_own(monkeypatch, capsys):
    monkeypatch.setattr("instructor_jax.commands.doctor.diagnose", lambda: [][0])
    assert run(["doctor"]) == 70
    line = capsys.readouterr().err
    assert line.startswith("instructor-jax: error: this is a bug, please report it: IndexError: list index out")
    assert line.count("\n") == 1
    monkeypatch.setenv("INSTRUCTOR_JAX_TRACEBACK", "1")
    with pytest.raises(IndexError):
        cli.main(["doctor"])


def test_interruption_exits_with_130(monkeypatch, capsys):
    def interrupt() -> list:
        raise KeyboardInterrupt

    monkeypatch.setattr("instructor_jax.commands.doctor.diagnose", interrupt)
    assert run(["doctor"]) == 130
    assert capsys.readouterr().err == "instructor-jax: interrupted; run the same command again to go on\n"


def test_help_lists_every_verb(capsys):
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in cli.VERBS)
    assert "instructor-jax VERB --help" in out


def test_a_lone_dash_is_standard_input_and_not_an_option(capsys):
    assert run(["encode", "-", "-o", "b.txt"]) == 2
    assert "unknown suffix" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["encode", "--help"], ["doctor", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    command = [sys.executable, "-X", "importtime", "-m", "instructor_jax", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.split("|")[-1].strip() for line in result.stderr.splitlines() if line.startswith("import time:")}
    assert "cyclopts" in imported  # the reading of the report works
    heavy = {"jax", "flax", "torch", "transformers", "tokenizers", "pyarrow", "matplotlib", "huggingface_hub"}
    assert not imported & heavy


def test_the_exit_code_of_a_verb_is_that_of_the_command(monkeypatch, capsys):
    from instructor_jax.commands.diagnosis import Finding

    monkeypatch.setattr(
        "instructor_jax.commands.doctor.diagnose", lambda: [Finding("A", "b", "c", "broken", "mend it")]
    )
    assert run(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["usable"] is False


def test_a_reader_that_goes_away_is_no_error():
    writer = (
        "from instructor_jax import cli; from instructor_jax.commands import diagnosis, doctor;"
        "doctor.diagnose = lambda: [diagnosis.Finding('A', 'b', 'c')]; cli.main(['doctor'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", writer], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (141, "")
