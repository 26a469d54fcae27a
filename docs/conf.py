"""Settings of the site: `sphinx-build -W --keep-going -b html docs build/site` (extra `docs`).

The build asks no network: pages that it writes itself come from the commands and the settings, and links into the
manuals of JAX, Flax and Optax are made only where their inventories may be fetched (Read the Docs, or
INSTRUCTOR_JAX_DOCS_ONLINE=1).

The tutorials are notebooks (MyST-NB). The build executes them, each in an empty folder, on the CPU, with the packaged
model; an error in a cell is an error of the build. Outputs are kept beside the site, so that the next build executes
only what changed; another state of the code executes all of them.
"""

import importlib.util
import os
import sys
from pathlib import Path

from myst_nb.core import render

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))
# for the notebooks: this environment's commands, no accelerator that a reader may lack, and no hub
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("MPLBACKEND", None)  # the kernel's own, which puts pictures into the page

from manual.cells import joined_streams, kept_outputs, show_shell_commands  # noqa: E402
from manual.commands import write_command_pages  # noqa: E402
from manual.links import mend_links  # noqa: E402
from manual.llms import write_llms  # noqa: E402
from manual.settings import write_settings_page  # noqa: E402

from instructor_jax.version import __version__  # noqa: E402

project = "instructor-jax"
author = "The instructor-jax developers"
copyright = "The instructor-jax developers, Apache-2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["results"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4

nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 600  # seconds, of a cell; two processes compile in one
nb_merge_streams = True
render.coalesce_streams = joined_streams  # its own breaks the line after every piece of 100 characters
nb_output_stderr = "remove"  # progress bars, and warnings of the kernel

html_theme = "furo"
html_title = f"instructor-jax {__version__}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options: dict[str, object] = {
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#7db4f0", "color-brand-content": "#7db4f0"},
}
if repository := os.environ.get("READTHEDOCS_GIT_CLONE_URL"):
    html_theme_options["source_repository"] = repository.removesuffix(".git")
    html_theme_options["source_branch"] = os.environ.get("READTHEDOCS_GIT_IDENTIFIER", "main")
    html_theme_options["source_directory"] = "docs/"

# adapters are documented whether or not the libraries that they adapt to are installed
autodoc_mock_imports = [
    name
    for name in ("chromadb", "haystack", "lancedb", "langchain_core", "llama_index", "mteb", "pydantic")
    if importlib.util.find_spec(name) is None
]
# docstrings write code in single backticks, as Markdown does
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
autosummary_generate = False
# A name that leads nowhere is a warning, but for
nitpicky = True
nitpick_ignore_regex = [
    # those of other libraries, which are links only where their inventories may be fetched
    (r"py:.*", r"(collections|flax|haystack|jax|jaxlib|jaxtyping|numpy|optax|pathlib|typing)\..*"),
    # parts of a type that is told in words, or of an annotation that is a text
    (r"py:class", r"(dict|tuple)\[str|ndarray|ComponentDevice|Secret"),
    # settings of a recipe, which have a page of their own
    (r"py:class", r"instructor_jax\.(sharding|train\.(settings\.\w+|data\.\w+|distillation|objective|optimizer))\.\w+"),
    # what signatures of public functions carry from one of them to the next
    (r"py:class", r"instructor_jax\.(backbones|config|inference|io|losses\.blockwise|nn)\..*"),
    (r"py:class", r"instructor_jax\.train\.(metrics|run\.\w+)\..*"),
]
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
python_maximum_signature_line_length = 88

online = "READTHEDOCS" in os.environ or "INSTRUCTOR_JAX_DOCS_ONLINE" in os.environ
intersphinx_mapping = (
    {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "jax": ("https://docs.jax.dev/en/latest", None),
        "flax": ("https://flax.readthedocs.io/en/latest", None),
        "optax": ("https://optax.readthedocs.io/en/latest", None),
    }
    if online
    else {}
)

copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div:not(.output) > div.highlight pre"  # what is typed, not what comes out


def setup(app) -> None:
    """Registers what writes pages before the build reads them, and what mends links out of the docs folder."""
    write_command_pages(HERE / "reference" / "commands")
    write_settings_page(HERE / "reference" / "settings.md")
    app.config.nb_execution_cache_path = str(kept_outputs(app.outdir))
    app.connect("source-read", mend_links)
    app.connect("doctree-read", show_shell_commands)
    app.connect("build-finished", write_llms)
