"""The head of a model card is read by the hub's library as it was meant, whatever the names in it are."""

import pytest
import yaml
from huggingface_hub import ModelCard

from instructor_jax.train.run.model_card import front_matter, told_settings
from instructor_jax.train.settings.run_config import RunConfig


def test_the_head_says_what_hubs_look_for() -> None:
    head = front_matter("hkunlp/instructor-base", "t5")
    assert yaml.safe_load(head.strip("-")) == {
        "base_model": "hkunlp/instructor-base",
        "library_name": "sentence-transformers",
        "license": "unknown",
        "pipeline_tag": "sentence-similarity",
        "tags": [
            "sentence-transformers",
            "feature-extraction",
            "sentence-similarity",
            "t5",
            "instruction",
            "instructor-jax",
        ],
    }
    card = ModelCard(f"{head}\n\n# a model\n")
    assert card.data.to_dict()["base_model"] == "hkunlp/instructor-base"
    assert card.text.strip() == "# a model"


def test_the_shape_is_told_where_the_run_has_it_to_say() -> None:
    settings = told_settings(RunConfig(data="/home/me/medi"))
    assert settings["model.encoder.layers"] == RunConfig().model.encoder.layers
    assert "data" not in settings
    settings = told_settings(RunConfig(init_from="hkunlp/instructor-base"))
    assert settings["init_from"] == "hkunlp/instructor-base"
    assert not [key for key in settings if key.startswith("model.")]


HOSTILE = ("x\nlicense: mit", "x: [", "\u202ex/y", "<b>/\x07")


@pytest.mark.parametrize("start", ["", ".", "default", "a/b/c", "../x", *HOSTILE])
def test_what_is_no_name_on_the_hub_is_no_base_model(start) -> None:
    head = front_matter(start, "t5")
    assert head.isascii()
    assert ModelCard(f"{head}\n").data.to_dict().keys() == {"library_name", "license", "pipeline_tag", "tags"}
