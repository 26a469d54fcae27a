"""Which requirements of an installed package are not met, by the metadata of packages; nothing is imported."""

import importlib.metadata
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def unmet_requirements(name: str, extras: tuple[str, ...] = (), *, transitive: bool = True) -> list[str]:
    """Requirements of a package, with the given extras, that are absent or of a wrong version.

    Args:
        name: an installed package.
        extras: its extras to look at, besides what it needs always.
        transitive: also look at what its requirements need; extras of the package itself and of its requirements
            (`jax[cuda13]`) are followed in any case.

    Returns:
        one line each, such as "jaxlib<=0.10.2,>=0.10.1 (for jax): 0.9.0 is installed"; empty where all is well.
    """
    seen: set[tuple[str, tuple[str, ...]]] = set()
    return sorted(set(_unmet(canonicalize_name(name), extras, transitive, seen)))


def installed_version(name: str) -> str | None:
    """Version of an installed package, None where it is absent."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def direct_requirements(name: str, extra: str | None = None) -> list[Requirement]:
    """What an installed package asks for: always (extra=None), or for one extra alone."""
    every = [Requirement(line) for line in importlib.metadata.requires(name) or []]
    always = [requirement for requirement in every if _applies(requirement, ())]
    if extra is None:
        return always
    return [requirement for requirement in every if requirement not in always and _applies(requirement, (extra,))]


def _unmet(
    name: str, extras: tuple[str, ...], transitive: bool, seen: set[tuple[str, tuple[str, ...]]]
) -> Iterator[str]:
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    for requirement in (Requirement(line) for line in importlib.metadata.requires(name) or []):
        if not _applies(requirement, extras):
            continue
        needed = canonicalize_name(requirement.name)
        version = installed_version(needed)
        if version is None:
            yield f"{_short(requirement)} (for {name}): not installed"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{_short(requirement)} (for {name}): {version} is installed"
        elif transitive or requirement.extras:
            yield from _unmet(needed, tuple(sorted(requirement.extras)), transitive, seen)


def _applies(requirement: Requirement, extras: tuple[str, ...]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in extras or ("",))


def _short(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"
