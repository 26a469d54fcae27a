"""HTML pages from templates: each lies beside the file that fills it, and all extend `layout.html.jinja`.

Names, texts and licences come from files of strangers. Jinja escapes whatever a template shows, and before that every
control character and every mark that turns the direction of writing becomes a visible escape. No template may switch
this off, which a test checks.
"""

import functools
from typing import TYPE_CHECKING, Any

from instructor_jax.io.printable import one_line, printable

if TYPE_CHECKING:
    from jinja2 import Environment


def render(package: str, template: str, **values: Any) -> str:
    """Returns the page that a template makes of values; a name that a template uses and nobody gave is an error.

    Args:
        package: the package that the template lies in.
        template: name of the template's file.
        values: what the template shows; every page needs `title`.
    """
    return _environment(package).get_template(template).render(values)


@functools.cache
def _environment(package: str) -> "Environment":
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("instructor_jax.pages", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["one_line"] = one_line
    return environment


def _shown(value: Any) -> Any:
    """Returns what a template shows for a value: texts printable, HTML of a template's own as it is."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
