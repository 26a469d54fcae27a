import dataclasses

import pytest

from instructor_jax.train.objective import TaskLoss
from instructor_jax.train.recipes import tiny
from instructor_jax.train.settings.flat import flat
from instructor_jax.train.settings.overrides import override


def test_values_take_their_fields_types() -> None:
    run = override(
        tiny(),
        [
            "steps=77",
            "optimizer.learning_rate=1",
            "dropout=false",
            "data=some/folder",
            "output=2024",
            "optimizer.clip_norm=none",
            "loss.dims=[128, 64]",
            "mixture.only=nli_*",
            'loss.per_task=[{task = "imdb", in_batch = false}]',
            "dtype=bfloat16",
        ],
    )
    assert run.steps == 77
    assert run.optimizer.learning_rate == 1.0
    assert isinstance(run.optimizer.learning_rate, float)
    assert run.dropout is False
    assert run.data == "some/folder"
    assert run.output == "2024"
    assert run.optimizer.clip_norm is None
    assert run.loss.dims == (128, 64)
    assert run.mixture.only == ("nli_*",)
    assert run.loss.per_task == (TaskLoss("imdb", in_batch=False),)
    assert run.dtype == "bfloat16"
    untouched = {"steps", "data", "output", "dropout", "dtype"}
    assert {key: value for key, value in flat(run).items() if "." not in key and key not in untouched} == {
        key: value for key, value in flat(tiny()).items() if "." not in key and key not in untouched
    }


def test_several_fields_of_one_section_add_up() -> None:
    run = override(tiny(), ["batch.groups=4", "batch.rows=16"])
    assert run.batch == dataclasses.replace(tiny().batch, groups=4, rows=16)


def test_a_file_says_the_same(tmp_path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('steps = 77\n[optimizer]\nlearning_rate = 0.5\n[loss]\ndims = [64]\nname = "in_batch"\n')
    assert override(tiny(), [], file) == override(
        tiny(), ["steps=77", "optimizer.learning_rate=0.5", "loss.dims=64", "loss.name=in_batch"]
    )
    file.write_text("steps = = 7")
    with pytest.raises(ValueError, match=r"run\.toml is not TOML"):
        override(tiny(), [], file)


def test_the_command_line_counts_more_than_the_file_and_only_the_result_is_checked(tmp_path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("steps = 9\n[batch]\ngroups = 2\nrows = 16\n")  # 9 steps alone are fewer than the warm-up's
    run = override(tiny(), ["optimizer.warmup_steps=2", "batch.groups=4"], file)
    assert (run.steps, run.optimizer.warmup_steps, run.batch.groups, run.batch.rows) == (9, 2, 4, 16)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps", "'steps' is no setting; write key=value"),
        ("stepz=1", "unknown setting 'stepz'; did you mean steps"),
        ("optimizer.lr=1", "unknown setting 'optimizer.lr'; there are optimizer.name, optimizer.learning_rate"),
        ("optimizer.learning_rat=1", "did you mean optimizer.learning_rate"),
        ("steps=many", "steps='many' must be a whole number"),
        ("steps=1.5", "steps=1.5 must be a whole number"),
        ("steps=true", "steps=True must be a whole number"),
        ("dropout=1", "dropout=1 must be true or false"),
        ("dtype=float16", "dtype='float16' must be one of float32, bfloat16"),
        ("optimizer.clip_norm=x", "must be a number or none"),
        ("optimizer=adamw", "optimizer has fields, set one of optimizer.name"),
        ("optimizer.learning_rate=-1", "learning_rate=-1.0 must be positive"),
        ("steps=0", "steps=0"),
        ("export_length=1", "export_length=1 must be at least 2"),
        ('loss.per_task=[{name = "imdb"}]', "unknown setting 'loss.per_task.name'"),
    ],
)
def test_refusals_name_the_setting(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        override(tiny(), [setting])
