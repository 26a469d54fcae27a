"""Recipes by name, and from a file of one's own: `path/to/file.py:function`.

The function takes no argument and returns a `RunConfig`, or a `Recipe` where a loss, examples or a metrics function of
one's own go with it; the tuple (config, loss) means the same. Naming a file here runs it, like `python file.py`; its
folder is searched for modules first, so it may import its neighbours.
"""

import difflib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .own_loss import OwnLoss
from .recipes import recipe
from .run.metrics_logger import OnMetrics
from .settings.run_config import RunConfig


class Recipe(NamedTuple):
    """Settings of a run with the functions and examples that go with them.

    What a function of one's own file may return.

    Attributes:
        config: Settings, which `key=value` on the command line changes.
        loss: Loss in the place of the configured one.
        examples: Examples in memory, in the place of `config.data`.
        on_metrics: Function that is called with every line of metrics.
    """

    config: RunConfig
    loss: OwnLoss | None = None
    examples: Any = None
    on_metrics: OnMetrics | None = None


def load_recipe(name: str) -> Recipe:
    """Returns a recipe by its name, or what a function of a file returns.

    Args:
        name: Name of a recipe, or `path/to/file.py:function`; that file is run.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: No recipe or function is called so, the file or the function fails, or it returns something else.
    """
    path, colon, function = name.rpartition(":")
    if not colon and name.endswith(".py"):
        path, function = name, ""
    if not path.endswith(".py"):
        return Recipe(recipe(name))
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; a recipe of your own is path/to/file.py:function.")
    module = _run(file)
    found = getattr(module, function, None) if function else None
    if not callable(found):
        raise ValueError(_no_function(path, function, module))
    try:
        returned = found()
    except Exception as error:
        raise ValueError(f"{name} failed: {_told(error, file)}") from error
    return _as_recipe(name, returned)


def _run(file: Path) -> ModuleType:
    """Runs a file as a module of its own name, so that what it defines can be found again by its name."""
    name = f"instructor_jax_recipes_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(file.absolute().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"{file} failed: {_told(error, file)}") from error
    return module


def _told(error: Exception, file: Path) -> str:
    """Returns the error in one line, with the last line of the file that it came from."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"


def _no_function(path: str, function: str, module: ModuleType) -> str:
    own = [
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    has = f"it has {', '.join(own)}" if own else "it has none"
    if not function:
        return (
            f"{path}: say which function of it makes the recipe, as in {path}:{own[0] if own else 'function'}; {has}."
        )
    close = difflib.get_close_matches(function, own, n=1)
    return f"{path} has no function {function!r}; " + (f"did you mean {close[0]}?" if close else f"{has}.")


def _as_recipe(name: str, returned: Any) -> Recipe:
    made = returned if isinstance(returned, tuple) else (returned,)
    checks: tuple[Callable[[Any], bool], ...] = (_is_config, _is_loss, lambda _: True, _is_loss)
    if not made or len(made) > len(checks) or not all(fits(one) for fits, one in zip(checks, made, strict=False)):
        kinds = ", ".join(type(one).__name__ for one in made)
        raise ValueError(
            f"{name} returned {f'({kinds})' if isinstance(returned, tuple) else kinds}; it must return a RunConfig, "
            "(RunConfig, loss), or Recipe(config, loss, examples, on_metrics), of which all but the first may be None."
        )
    return Recipe(*made)


def _is_config(value: Any) -> bool:
    return isinstance(value, RunConfig)


def _is_loss(value: Any) -> bool:
    return value is None or callable(value)
