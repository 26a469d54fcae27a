"""The error of an adapter whose library is not installed."""

import importlib.util


def absent(library: str, extra: str) -> ImportError:
    """Returns an error that says which extra to install."""
    return ImportError(f"{library} is not installed: pip install 'instructor-jax[{extra}]'")


def require(module: str, library: str, extra: str) -> None:
    """Checks that a library can be found, without importing it.

    Raises:
        ImportError: it cannot; the message names the extra.
    """
    if importlib.util.find_spec(module) is None:
        raise absent(library, extra)
