"""What every test runs under: eight CPU devices, no network, warnings of ours as errors, and the optional shared data.

The environment is set before JAX is first imported; JAX reads it only once. All processes of a test run share one cache
of compiled programs, which goes with the run: what one file compiled, the next loads. A test that counts compilations
counts what is loaded, too, since JAX reports both by one event. XLA optimises for short compilations: what the tests
compute is small, and a training step of two layers took 15 s of a core to compile and now takes 7.
"""

import atexit
import logging
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

if TYPE_CHECKING:
    import fsspec

os.environ["JAX_PLATFORMS"] = "cpu"
QUICKLY_COMPILED = "--xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8 {QUICKLY_COMPILED}"
)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"
os.environ.setdefault("INSTRUCTOR_JAX_CACHE", "off")  # nothing is read from, or left in, the user's own cache
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # workers of pytest-xdist are given the one of the process they serve
    programs = tempfile.mkdtemp(prefix="instructor-jax-tests-")
    atexit.register(shutil.rmtree, programs, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = programs
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"

import hypothesis  # noqa: E402 - once the environment is set
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# Examples are counted, not timed: a first one may compile, and machines are shared.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names of cases that are equal in every process: no bytes, which may hold the time, and no long or odd texts."""
    if isinstance(val, bytes):
        return "bytes"
    if isinstance(val, str) and (len(val) > 60 or not val.isprintable() or not val.isascii()):
        return "".join(mark for mark in val[:60] if mark.isascii() and mark.isprintable()) or "text"
    return None


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command that a test runs sets the level of the library's log; the next test finds it as it was."""
    log = logging.getLogger("instructor_jax")
    level, handlers, propagate = log.level, list(log.handlers), log.propagate
    yield
    log.setLevel(level)
    log.handlers[:], log.propagate = handlers, propagate


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """Whatever draws from the generators of a whole process, as PyTorch's layers do, draws the same in every run."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the one that libraries draw from
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


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


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the type checks that only tests add: the error that a user gets for a value of a wrong type."""
    from jaxtyping import config

    monkeypatch.setattr(config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer model with a tokenizer of its own, as `instructor-jax create` writes it. Not to be changed."""
    from instructor_jax.commands.create import create

    folder = tmp_path_factory.mktemp("created") / "tiny"
    create(folder, seed=3)
    return folder


@pytest.fixture(scope="session")
def embedder(tiny_folder: Path):
    """The tiny model on one device, with few buckets; shared, so that each bucket is compiled once in a test run."""
    import jax

    from instructor_jax import Instructor

    return Instructor.from_pretrained(tiny_folder, devices=jax.devices()[:1], tokens_per_call=512)


@pytest.fixture
def carrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The folder of a model in an installed package called carrier-of-tiny, and the list of that package's files."""
    model, about = tmp_path / "carrier" / "model", tmp_path / "carrier_of_tiny-1.0.dist-info"
    model.mkdir(parents=True)
    (model / "modules.json").write_text("[]")
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier-of-tiny\nVersion: 1.0\n")
    (about / "RECORD").write_text("carrier/model/modules.json,,\ncarrier/__init__.py,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    return model, about / "RECORD"


@pytest.fixture
def memory() -> Iterator["fsspec.AbstractFileSystem"]:
    """An empty memory store; addresses begin with memory://."""
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of an S3 server of this machine, for this process and those that it starts."""
    moto = pytest.importorskip("moto.server", reason="needs a server of S3: pip install 'moto[server]' s3fs")
    pytest.importorskip("s3fs")
    from s3fs import S3FileSystem

    from instructor_jax.io.remote.stores import Store

    server = moto.ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    given = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        # moto keeps its buckets from server to server, fsspec what it has once opened, with the address of that server
        urlopen(f"{given['AWS_ENDPOINT_URL']}/moto-api/reset", b"").close()
        S3FileSystem.clear_instance_cache()
        Store("s3://bucket/x").fs.mkdir("bucket")
        yield "s3://bucket"
        S3FileSystem.clear_instance_cache()
    server.stop()
