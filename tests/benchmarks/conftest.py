"""Modules of benchmarks/, which is no package: each script imports its neighbours by their bare names."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]


def _forget(folder: Path) -> None:
    """Removes the modules of a folder: another script has others of the same names."""
    for name, module in list(sys.modules.items()):
        if folder in Path(getattr(module, "__file__", None) or "/").parents:
            del sys.modules[name]


@pytest.fixture(params=["benchmarks"])
def module(request: pytest.FixtureRequest, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports by name from a folder, as the script in it does; by indirect parameter another one than benchmarks/."""
    monkeypatch.syspath_prepend(str(repository / request.param))
    _forget(repository / "benchmarks")
    yield import_module
    _forget(repository / "benchmarks")
