"""The version of the package, written once: `pyproject.toml` and `instructor_jax.__version__` read it here."""

__version__ = "0.2.0"
