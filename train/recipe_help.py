"""What each recipe is for, in words: `train --list`, and `train RECIPE --help`; told by the recipes' own docstrings.

A docstring begins with a sentence, has a paragraph of `Data:`, `Hardware:` and `Score:`, and ends with a command.
"""

import dataclasses
import inspect
import re
import textwrap

from instructor_jax.config import parameter_count

from .plan.settings import planned_model
from .recipes import RECIPES
from .settings.run_config import RunConfig

_PARTS = re.compile(r"(Data|Hardware|Score): (.*?)(?= (?:Hardware|Score): |$)")


@dataclasses.dataclass(frozen=True)
class RecipeHelp:
    """What a recipe's docstring says.

    Attributes:
        name: Name of the recipe.
        sentence: What it sets up.
        more: Further paragraphs.
        parts: What it says of `Data`, `Hardware` and `Score`.
        example: Command, as it is typed.
    """

    name: str
    sentence: str
    more: tuple[str, ...]
    parts: dict[str, str]
    example: str


def help_of(name: str) -> RecipeHelp:
    """Returns what the docstring of a recipe says.

    Raises:
        ValueError: No recipe is called so.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe is called {name!r}; there are {', '.join(RECIPES)}.")
    first, *rest = (inspect.getdoc(RECIPES[name]) or "").split("\n\n")
    plain = [" ".join(one.split()) for one in rest]
    parts = dict(match for one in plain if one.startswith("Data:") for match in _PARTS.findall(one))
    more = tuple(one for one in plain if not one.startswith(("Data:", "instructor-jax ")))
    example = next((one for one in rest if one.startswith("  instructor-jax ")), "")
    sentence = " ".join(first.split()).removeprefix("Sets up ")
    return RecipeHelp(name, sentence[:1].upper() + sentence[1:], more, parts, textwrap.dedent(example))


def recipe_list(width: int = 100) -> str:
    """Returns a paragraph for every recipe: what it is for, its size, where it is meant to run.

    Args:
        width: Columns to fill.
    """
    told = []
    for name, make in RECIPES.items():
        one = help_of(name)
        lines = (one.sentence, size_of(make()), f"Hardware: {one.parts['Hardware']}")
        told.append("\n".join([name, *(_filled(line, width) for line in lines)]))
    return "\n\n".join([*told, "instructor-jax train RECIPE --help shows a command; --show prints all settings."])


def recipe_page(name: str, width: int = 100) -> str:
    """Returns all that is said about one recipe, with a command that trains it.

    Args:
        name: Name of the recipe.
        width: Columns to fill.

    Raises:
        ValueError: No recipe is called so.
    """
    one = help_of(name)
    about = (one.sentence, *one.more, size_of(RECIPES[name]()))
    paragraphs = [name, *(_filled(text, width) for text in about)]
    paragraphs.append("\n".join(_filled(f"{part}: {text}", width) for part, text in one.parts.items()))
    paragraphs.append("For example:\n\n" + textwrap.indent(one.example, "  "))
    paragraphs.append(
        f"instructor-jax train {name} --show prints all its settings, --dry-run says what it would train;\n"
        "instructor-jax train --help lists the options."
    )
    return "\n\n".join(paragraphs)


def size_of(run: RunConfig) -> str:
    """Returns in a sentence how large the model of a run is, and a step of it."""
    model = planned_model(run)
    start = f" from {run.init_from}" if run.init_from else " from scratch"
    rows = f"{run.batch.groups} x {run.batch.rows} rows of {run.batch.length or model.max_length} tokens"
    weights = parameter_count(model) / 1e6
    return f"Size: {weights:,.{0 if weights >= 100 else 1}f} million weights{start}; {run.steps:,} steps of {rows}."


def _filled(text: str, width: int) -> str:
    return textwrap.fill(text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
