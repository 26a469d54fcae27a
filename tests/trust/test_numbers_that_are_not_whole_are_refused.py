"""A number of things is a whole number, written in digits: 1.5 is never rounded, True is not 1, "3" is not 3."""

import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from instructor_jax import Instructor, pack
from instructor_jax.cli import VERBS, _application
from instructor_jax.option_types import _whole_number as whole_number_of_tokens
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.settings.run_config import RunConfig
from instructor_jax.train.settings.sections import BatchConfig

from ..commands.conftest import fails, fake, run  # noqa: F401 - fixtures

NO_COUNTS = ["1.5", "3.0", "1e3", "True", "three", "0x10", "1_000", "\u0663", "nan", "inf", "", " 3", "9" * 400]


# --- the command line ----------------------------------------------------------------------------------------------


def commands(application: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below an application, by its words."""
    if application.default_command is not None:
        yield path, application
    for name in application:
        if not name.startswith("-"):
            yield from commands(application[name], (*path, name))


def command_of(words: tuple[str, ...]) -> Any:
    """The command of these words."""
    command = _application(words[0])[words[0]]
    for word in words[1:]:
        command = command[word]
    return command


def kinds(hint: Any) -> set[Any]:
    """The types that an annotation is made of."""
    parts = typing.get_args(hint)
    return set().union(*map(kinds, parts)) if parts else {hint}


def whole_numbers() -> list[tuple[tuple[str, ...], str]]:
    """Every option of every verb that is a number of things, with the words before it."""
    found = []
    for verb in VERBS:
        for words, command in commands(_application(verb)[verb], (verb,)):
            for argument in command.assemble_argument_collection():
                if int in kinds(argument.hint):
                    found.append((words, argument.names[0]))
    return found


def test_every_verb_is_looked_at() -> None:
    found = whole_numbers()
    assert len(found) > 20
    verbs = {"encode", "similarity", "search", "train", "medi", "evaluate", "create", "serve"}
    assert {words[0] for words, _ in found} >= verbs


@pytest.mark.parametrize(("words", "option"), whole_numbers(), ids=lambda value: "".join(value))
def test_every_option_has_the_reader_that_refuses(words: tuple[str, ...], option: str) -> None:
    """Looked at before any verb is run: one that took 1.5 would do its work, and a server's has no end."""
    argument = next(each for each in command_of(words).assemble_argument_collection() if option in each.names)
    assert argument.parameter.converter is whole_number_of_tokens, f"{' '.join(words)} {option} must be a WholeNumber"


def arguments_of(command: Any) -> list[str]:
    """Something for all that a command requires, so that nothing else is told before the number."""
    given = []
    for argument in command.assemble_argument_collection():
        if argument.required and argument.show:
            name = argument.names[0] if argument.names else ""
            given += [name, "x"] if name.startswith("--") else ["x"]
    return given


@pytest.mark.parametrize(("words", "option"), whole_numbers(), ids=lambda value: "".join(value))
def test_no_option_rounds(words: tuple[str, ...], option: str, fails: Callable[..., str], tmp_path: Path) -> None:  # noqa: F811
    command = command_of(words)
    for value in NO_COUNTS if option == "--batch-size" else NO_COUNTS[:2]:
        line = fails(*words, *arguments_of(command), f"{option}={value}")
        assert "must be a whole number" in line, (value, line)
        assert option in line


def test_digits_are_taken(run: Callable[..., None], tmp_path: Path) -> None:  # noqa: F811
    text, output = tmp_path / "a.txt", tmp_path / "a.npy"
    text.write_text("one\ntwo\nthree\n")
    run("encode", text, "-o", output, "-m", "fake", "--part-size", "2", "--batch-size", "+1", "--truncate-dim", "07")
    assert np.load(output).shape == (3, 7)


# --- the library ---------------------------------------------------------------------------------------------------

WRONG = [1.5, 3.0, True, "3", np.float32(3), np.bool_(True), [3], np.array([1, 2]), float("nan"), 1 + 0j, b"3"]
WAYS: dict[str, Callable[[Instructor, Any], Any]] = {
    "batch_size": lambda model, value: model.encode(["x"], batch_size=value),
    "truncate_dim": lambda model, value: model.encode(["x"], truncate_dim=value),
    "batch_size of a stream": lambda model, value: model.encode_stream(["x"], batch_size=value),
    "truncate_dim of a stream": lambda model, value: model.encode_stream(["x"], truncate_dim=value),
    "max_seq_length": lambda model, value: setattr(model, "max_seq_length", value),
    "truncate_dim of the model": lambda model, value: setattr(model, "truncate_dim", value),
    "rows": lambda model, value: pack(["x"], model, rows=value, length=32),
    "length": lambda model, value: pack(["x"], model, rows=1, length=value),
    "groups": lambda model, value: pack(["x"], model, rows=1, length=32, groups=value),
    "texts_per_group": lambda model, value: pack(["x"], model, rows=1, length=32, texts_per_group=value),
}


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Instructor:
    return Instructor.from_pretrained(tiny_folder, devices=jax.devices()[:1], tokens_per_call=512)


@pytest.mark.usefixtures("unchecked")  # so that our own checks are reached
@pytest.mark.parametrize("value", WRONG, ids=lambda value: f"{type(value).__name__}-{value}")
@pytest.mark.parametrize("way", WAYS)
def test_the_library_takes_whole_numbers_only(model: Instructor, way: str, value: Any) -> None:
    name = way.partition(" ")[0]
    with pytest.raises(ValueError, match=rf"^{name}=.* must be a whole number from "):
        WAYS[way](model, value)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.int32, np.array, jax.numpy.int32])
def test_whole_numbers_of_other_libraries_are_whole(model: Instructor, kind: Any) -> None:
    expected = model.encode(["x", "y"])
    found = model.encode(["x", "y"], batch_size=kind(7), truncate_dim=kind(48))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)  # float32: made to unit length once more
    assert pack(["x"], model, rows=kind(2), length=kind(32), groups=kind(1)).tokens.shape == (1, 2, 32)


# --- a training run from Python ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("value", [1.5, 3.0, True, "3", None, np.float32(3), np.bool_(True), [3]], ids=str)
def test_settings_of_a_run_are_whole_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^steps=.* must be a whole number"):
        RunConfig(steps=value)
    with pytest.raises(ValueError, match=r"^batch\.groups=.* must be a whole number"):
        BatchConfig(groups=value)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("value", ["1", None, 2, 1, np.float32(1)], ids=str)
def test_switches_of_a_run_are_true_or_false(value: Any) -> None:
    with pytest.raises(ValueError, match="^dropout=.* must be True or False"):
        RunConfig(dropout=value)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("value", ["1", None, True, 1j], ids=str)
def test_rates_of_a_run_are_numbers(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^optimizer\.learning_rate=.* must be a number"):
        RunConfig(optimizer=OptimizerConfig(learning_rate=value))


@pytest.mark.usefixtures("unchecked")
def test_numbers_of_numpy_become_those_of_python() -> None:
    made = RunConfig(
        steps=np.int64(30),  # type: ignore[arg-type]
        dropout=np.bool_(False),  # type: ignore[arg-type]
        optimizer=OptimizerConfig(learning_rate=np.float64(0.5), warmup_steps=0),  # type: ignore[arg-type]
    )
    assert [type(each) for each in (made.steps, made.dropout, made.optimizer.learning_rate)] == [int, bool, float]
    assert (made.steps, made.dropout, made.optimizer.learning_rate) == (30, False, 0.5)
