"""Plans that were made before: compiling takes minutes, and the same program on the same topology gives the same plan.

The key is the program itself, as JAX hands it to the compiler, with the versions of compiler and of this analysis; so
no change of settings or code can find an old plan.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
from functools import lru_cache
from pathlib import Path

from instructor_jax.compilation import cache_folder
from instructor_jax.io.json_files import read_json

from .record import Plan, from_json, to_json

logger: logging.Logger = logging.getLogger(__name__)


class PlanCache:
    """The place of one plan, beside the cache of compiled programs; nowhere where that cache is switched off."""

    path: Path | None

    def __init__(self, program: str, plan: Plan) -> None:
        folder = cache_folder()
        about = (plan.what, plan.topology, plan.mesh, plan.settings, plan.fill)
        digest = hashlib.sha256("\n".join((repr(about), _versions(), program)).encode()).hexdigest()
        self.path = None if folder is None else folder.with_name("plans") / f"{digest[:32]}.json"

    def read(self) -> Plan | None:
        """Returns the plan if it was made before."""
        if self.path is None or not self.path.exists():
            return None
        try:
            return from_json(read_json(self.path))
        except (ValueError, KeyError, TypeError, AttributeError, OSError):
            return None  # of another version, or half a file of another program

    def write(self, plan: Plan) -> Plan:
        """Keeps the plan and gives it back."""
        if self.path is None:
            return plan
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside = self.path.with_suffix(f".{os.getpid()}.partial")
            beside.write_text(json.dumps(to_json(plan)), encoding="utf-8")
            os.replace(beside, self.path)
        except OSError as error:
            logger.warning("the plan is not kept: %s", error)
        return plan


@lru_cache
def _versions() -> str:
    """Returns the versions of the compilers, and a digest of the modules that read what they made."""
    versions = []
    for package in ("jax", "jaxlib", "libtpu", "jax-cuda13-plugin", "nvidia-cuda-nvcc", "nvidia-cudnn-cu13"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} absent")
    here = Path(__file__)
    sources = b"".join(
        path.read_bytes()
        for path in sorted([*here.parent.glob("*.py"), *here.parent.glob("*.toml"), here.parents[1] / "chips.py"])
    )
    return " ".join([*versions, hashlib.sha256(sources).hexdigest()])
