"""What every test runs under: eight CPU devices, no network, warnings of ours as errors, and the optional shared data.

The environment is set before JAX is first imported; JAX reads it only once.
"""

import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"
os.environ.setdefault("INSTRUCTOR_JAX_CACHE", "off")  # tests count compilations; a warm disk cache would hide some

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data sets and golden vectors that lie beside the checkout where the project is developed."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "fixtures").is_dir():
        pytest.skip("needs the folder of data sets and golden vectors beside the checkout, which is not distributed")
    return folder


@pytest.fixture(scope="session")
def tiny_instructor(shared: Path) -> Path:
    """A random two-layer INSTRUCTOR model in the published layout."""
    return shared / "fixtures" / "tiny_instructor"
