"""Awesome lists, exercises and emoji."""

import json

import pytest

from instructor_jax.train.medi.files.records import Instance, Row
from instructor_jax.train.medi.readers import software

PYTHON = """# Awesome Python
## Categories
- [Web](#web)
## Projects
### Web
_About [frameworks](https://x)._
- Frameworks
  - [django](https://d) - The [web](https://w) framework.
    - [awesome-django](https://a)
## Resources
- [Blog](https://b) - Not a library.
"""
HOSTED = """## Software
### Wikis
- [Gollum](https://g) `⚠` - Simple, Git-powered wiki (fast). ([Demo](https://d), [Source](https://s)) `MIT` `Ruby/Go`
- [W](https://w) - Plain. `GPL-3.0` `PHP`
## External Links
- [theme](https://t) - Themes.
"""


def test_awesome_python(make_folder):
    folder = make_folder({"awesome-python.md": PYTHON})
    assert list(software.awesome_python_category(folder)) == [Row("The web framework.", "Web", "8")]
    assert list(software.awesome_python_name(folder)) == [Row("The web framework.", "django", "8")]


def test_awesome_selfhosted(make_folder):
    folder = make_folder({"awesome-selfhosted.md.gz": HOSTED})
    assert list(software.awesome_selfhosted_description(folder)) == [
        Row("Gollum", "Simple, Git-powered wiki (fast).", "3"),
        Row("W", "Plain.", "4"),
    ]
    first = next(software.awesome_selfhosted_category(folder))
    assert first == Instance("Gollum: Simple, Git-powered wiki (fast).", "Wikis", "3", "Wikis")


def test_exercism(make_folder):
    files = {
        "exercises/leap/metadata.toml": 'title = "Leap"\nblurb = "Is it a leap year?"\n',
        "exercises/leap/introduction.md": "# Introduction\n\nYears differ.\n",
        "exercises/leap/instructions.md": "# Instructions\n\nSay so, see [this][a].\n\n[a]: https://a\n",
        "exercises/bob/metadata.toml": 'blurb = "Bob answers."\n',
        "exercises/bob/description.md": "# Description\n\nAnswer.\n",
    }
    assert list(software.exercism(make_folder({"exercises.tar.gz": files}))) == [
        Row("Bob answers.", "Answer.", "bob"),
        Row("Is it a leap year?", "Years differ.\n\nSay so, see this.", "leap"),
    ]


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [("blurb", "not TOML"), ('blurb = "x"', "neither"), ("title = 1", "neither|needs the field")],
)
def test_exercism_names_the_exercise(make_folder, metadata, problem):
    folder = make_folder({"exercises.tar": {"exercises/x/metadata.toml": metadata}})
    with pytest.raises(ValueError, match=rf"exercises/x/metadata\.toml.*({problem})"):
        list(software.exercism(folder))


def test_gemoji(make_folder):
    records = [
        {
            "emoji": "😀",
            "description": "grinning face",
            "category": "Smileys",
            "aliases": ["grinning_face", "grin"],
            "tags": ["smile"],
        },
        {"emoji": "🚕", "description": "taxi", "category": "Travel", "aliases": ["taxi"], "tags": []},
    ]
    folder = make_folder({"emoji.json": json.dumps(records)})
    assert list(software.gemoji_tags(folder)) == [Row("grinning face", "grin, smile", "1"), Row("taxi", "", "2")]
    assert list(software.gemoji_category(folder))[1] == Instance("taxi", "Travel", "2", "Travel")
