"""`constraints.txt`, the versions that the tests passed with: one for each direct dependency, within its range."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]


def wanted(extra: str | None = None) -> list[Requirement]:
    """What the project, or an extra with the extras that it takes in, needs directly."""
    lines = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    found = []
    for requirement in map(Requirement, lines):
        if canonicalize_name(requirement.name) == PROJECT["name"]:
            found += [inner for name in requirement.extras for inner in wanted(name)]
        else:
            found.append(requirement)
    return found


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_direct_dependency_has_one_version_in_its_range(python):
    here = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    pins = {}
    for pin in PINS:
        if pin.marker is None or pin.marker.evaluate(here):
            assert canonicalize_name(pin.name) not in pins, f"two versions of {pin.name}"
            pins[canonicalize_name(pin.name)] = re.sub("^==", "", str(pin.specifier))
    for requirement in [*wanted(), *wanted("dev")]:
        if requirement.marker is None or requirement.marker.evaluate(here):
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)], prereleases=True)


def test_a_constraint_names_a_version_and_no_place():
    assert PINS
    for pin in PINS:
        assert pin.url is None
        assert not pin.extras
        assert str(pin.specifier).startswith("==")
