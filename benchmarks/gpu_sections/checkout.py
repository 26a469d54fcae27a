"""Makes the package importable from a checkout that is not installed: `train/` and `convert/` lie beside the library.

An installation maps the two folders by its metadata (`package-dir` in pyproject.toml); here the same is done by hand.
"""

import importlib.util
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
_MAPPED = ("train", "convert")


def use_checkout() -> None:
    """Puts the checkout in front of everything that is installed, and maps its two applications into the package."""
    sys.path.insert(0, str(CHECKOUT))
    import instructor_jax

    for name in _MAPPED:
        folder, module = CHECKOUT / name, f"{instructor_jax.__name__}.{name}"
        spec = importlib.util.spec_from_file_location(
            module, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[module] = made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        setattr(instructor_jax, name, made)
