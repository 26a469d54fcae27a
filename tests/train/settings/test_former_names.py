"""Settings that were renamed answer to their former names everywhere: commands, files, recipes, runs begun before."""

import dataclasses
from pathlib import Path

import pytest

from instructor_jax.train.config import TrainConfig
from instructor_jax.train.distillation import DistillConfig
from instructor_jax.train.recipes import RECIPES, recipe
from instructor_jax.train.settings.comparison import differences
from instructor_jax.train.settings.flat import flat
from instructor_jax.train.settings.former_names import former_names, present_keys, present_parts, present_tree
from instructor_jax.train.settings.mixture_config import MixtureConfig
from instructor_jax.train.settings.overrides import override
from instructor_jax.train.settings.run_config import RunConfig

# former key, present key, and a value that is not the default
RENAMED = [
    ("start", "init_from", "some/model"),
    ("chunks", "gradient_cache_chunks", 4),
    ("ahead", "prefetch", 5),
    ("mixture.cap", "mixture.max_examples", 700),
    ("distill.alone", "distill.distill_only", 0.25),
    ("distill.fade", "distill.decay", 0.125),
    ("distill.bare", "distill.no_instruction", False),
]


def test_every_renamed_setting_is_listed_here() -> None:
    found = {f"{section}{former}" for section, config in (("", RunConfig), ("mixture.", MixtureConfig),
             ("distill.", DistillConfig)) for former in former_names(config)}  # fmt: skip
    assert found == {former for former, _, _ in RENAMED} | {"distill.start_embeddings"}
    assert former_names(TrainConfig) == {"chunks": "gradient_cache_chunks"}


@pytest.mark.parametrize(("former", "present", "value"), RENAMED)
def test_a_former_key_means_the_present_one(former: str, present: str, value: object, tmp_path: Path) -> None:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    by_present = override(RunConfig(), [f"{present}={text}"])
    assert flat(by_present)[present] == value
    assert override(RunConfig(), [f"{former}={text}"]) == by_present
    file = tmp_path / "settings.toml"
    section, _, name = former.rpartition(".")
    shown = f'"{text}"' if isinstance(value, str) else text
    file.write_text(f"[{section}]\n{name} = {shown}\n" if section else f"{name} = {shown}\n")
    assert override(RunConfig(), [], file) == by_present
    other = {"some/model": "other"}.get(text, "true" if value is False else "0.5" if isinstance(value, float) else "9")
    # the command line counts more than the file, whichever of the names each of them uses
    assert override(RunConfig(), [f"{present}={other}"], file) == override(RunConfig(), [f"{present}={other}"])
    file.write_text(file.read_text().replace(name, present.rpartition(".")[2]))
    assert override(RunConfig(), [f"{former}={other}"], file) == override(RunConfig(), [f"{present}={other}"])


def test_start_embeddings_is_static_init() -> None:
    settings = ["distill.teacher=any", "model.projection=8"]
    old = override(RunConfig(), [*settings, "distill.start_embeddings=true"])
    assert old == override(RunConfig(), [*settings, "distill.static_init=true"])
    assert old.distill.static_init


def test_one_setting_under_two_names_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[mixture]\ncap = 1\nmax_examples = 2\n")
    with pytest.raises(ValueError, match=r"mixture\.cap and mixture\.max_examples are two names of one setting"):
        override(RunConfig(), [], file)


def test_recipes_of_ones_own_may_use_former_names() -> None:
    config = RunConfig(start="a", chunks=2, ahead=3, mixture=MixtureConfig(cap=4))  # type: ignore[call-arg]
    assert config == RunConfig(
        init_from="a", gradient_cache_chunks=2, prefetch=3, mixture=MixtureConfig(max_examples=4)
    )
    changed = dataclasses.replace(config, start="b", ahead=1)  # type: ignore[call-arg]
    assert (changed.init_from, changed.prefetch, changed.gradient_cache_chunks) == ("b", 1, 2)
    with pytest.raises(TypeError, match="began"):
        RunConfig(began="a")  # type: ignore[call-arg]


def test_settings_of_runs_begun_before_are_compared_under_their_present_names() -> None:
    new = {**flat(recipe("default")), "mixture.max_examples": 7}
    former = {present: old for old, present, _ in RENAMED} | {"distill.static_init": "distill.start_embeddings"}
    old = {former.get(key, key): value for key, value in new.items()}
    assert set(old) & {"start", "ahead", "chunks", "mixture.cap", "distill.alone"}
    assert differences(old, new) == {}
    assert differences({**old, "start": "another"}, new) == {"init_from": ("another", recipe("default").init_from)}
    assert differences({**old, "mixture.cap": 8}, new) == {"mixture.max_examples": (8, 7)}
    assert differences({**old, "ahead": 9, "chunks": 4}, new) == {}  # these may change when a run goes on


def test_names_that_nobody_renamed_stay() -> None:
    for name in RECIPES:
        settings = flat(recipe(name))
        assert present_keys(recipe(name), settings) == settings
    assert present_parts(RunConfig(), ["no", "such", "key"]) == ["no", "such", "key"]
    assert present_tree(RunConfig(), {"no": {"start": 1}, "steps": 2}) == {"no": {"start": 1}, "steps": 2}
