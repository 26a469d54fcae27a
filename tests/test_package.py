"""The package map, the direction of imports, and what a first import costs."""

import fnmatch
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from house import MAPPED, House, imports, module_of, package_of, sources

# Every room's storey, the lowest first. A room imports from lower storeys only, at import time or later; rooms of one
# storey do not see each other. So the library knows no application, and applications never import one another.
STOREYS = (
    ("processor",),  # what this machine's CPU can
    ("version", "sharding", "numerics", "requirements", "compilation", "progress"),
    # what input may be (a configuration is checked by the same rules as its file); what a family of encoders supplies
    ("io.bounds", "backbones"),
    ("io.printable", "io.json_checks", "backbones.t5.config"),  # the family that `EncoderConfig` means
    ("io.json_files", "config"),
    ("backbones.published",),  # the published models of all families
    ("arguments", "option_types", "markdown", "pages"),
    ("io",),  # every file that is read or written
    ("origins",),  # where the data come from
    ("text", "losses"),  # strings -> packed tokens; pure functions on vectors
    ("nn",),  # what encoders are made of
    # families, met by name through `backbones.registry`
    ("backbones.t5", "backbones.bert", "backbones.qwen3", "backbones.modernbert"),
    ("backbones.mpnet", "backbones.gemma"),  # families made of parts of another one
    ("backbones.t5gemma", "backbones.embedding_gemma2"),
    ("nn.model",),  # packed tokens -> vectors: an encoder of any family, pooling, projection
    ("inference", "publishing"),  # prepare, run, finish; a model's card and its upload
    ("drop_in",),  # what sentence-transformers' class offers besides
    ("embedder",),  # Instructor
    ("drop_in.original",),  # INSTRUCTOR, under the original's signature
    ("__init__", "model_options"),  # the front door; the commands' options of a model
    ("commands", "server", "evaluation", "train", "convert", "integrations"),  # applications, and adapters
    ("haystack_integrations.components.embedders.instructor_jax",),  # those that must lie in Haystack's namespace
    ("cli",),  # by name, when a verb is called
    ("__main__",),
)
# Storeys within an application. Its own files lie among them: what they may import is any of its rooms.
INSIDE = {
    "evaluation": (("mteb",), ("local", "prompt_retrieval", "report", "studies")),
    "train": (
        ("data", "cluster", "export"),
        ("settings",),
        ("watch",),
        ("medi.files",),
        ("medi.storage",),
        ("medi.readers",),
        ("medi.mining",),
        ("medi", "distill"),
        ("run",),
        ("plan",),
    ),
}
# What one application hands another: importer, imported. Only when called, never at import time.
HANDED_OVER = {("train.main_evaluation", "evaluation")}  # scores of small tasks while training
# What was reached, and may not get worse; the house once was: 71 files in a folder, a chain of 14, four lazy circles.
LIMITS = {
    "files of the largest flat folder": 22,
    "longest import chain": 10,
    "modules in an import circle": 0,
    "... lazy imports too": 0,
    "lines of the longest function": 70,
    "functions above 70 lines": 0,
    "files above 250 lines": 1,
    # four have signatures that others set: two components of Haystack, one upload, the options of Instructor
    "functions above 6 parameters": 20,
    "public names without docstring": 0,
}
# The files that need an extra or something slow to import; everything else must do without.
ALLOWED = {
    "torch": (
        "instructor_jax/inference/torch_tensors.py",
        "instructor_jax/io/other_libraries.py",
        "instructor_jax/io/sentence_transformers_model.py",
        "convert/verify.py",
        "convert/torch_encoder.py",
        "convert/pooled_encoder.py",
        "convert/onnx_file.py",
        "instructor_jax/evaluation/",
    ),
    "transformers": ("instructor_jax/io/other_libraries.py", "convert/torch_encoder.py", "instructor_jax/evaluation/"),
    "onnx": ("convert/onnx_file.py",),
    "onnxscript": ("convert/onnx_file.py",),
    "openvino": ("convert/openvino_file.py",),
    "sentence_transformers": (
        "instructor_jax/io/other_libraries.py",
        "instructor_jax/io/sentence_transformers_model.py",
    ),
    "mteb": ("instructor_jax/evaluation/", "instructor_jax/drop_in/mteb.py"),
    "tensorflow": (),
    "tensorflow_datasets": ("train/",),
    "orbax": ("instructor_jax/io/own_folder.py", "instructor_jax/io/folder_writer.py", "convert/", "train/"),
    "optax": ("train/",),
    "grain": ("train/",),
    "sklearn": ("train/", "instructor_jax/evaluation/", "instructor_jax/text/tfidf.py"),
    "pyarrow": (
        "instructor_jax/io/",
        "instructor_jax/commands/",
        "instructor_jax/integrations/ray.py",
        "train/",
        "instructor_jax/evaluation/",
    ),
    "matplotlib": ("instructor_jax/pages/", "instructor_jax/commands/", "train/", "instructor_jax/evaluation/"),
    "jinja2": ("instructor_jax/pages/",),
    "ray": ("instructor_jax/integrations/ray.py", "instructor_jax/commands/encode/"),
    "orjson": ("instructor_jax/commands/", "instructor_jax/server/"),
    "langchain_core": ("instructor_jax/integrations/langchain.py",),
    "llama_index": ("instructor_jax/integrations/llama_index.py",),
    "chromadb": ("instructor_jax/integrations/chroma.py",),
    "lancedb": ("instructor_jax/integrations/lancedb.py",),
    "lance": ("instructor_jax/commands/encode/lance_files.py",),
    "fsspec": ("instructor_jax/io/remote/",),
    "wandb": ("train/watch/wandb_board.py",),
    "haystack": ("haystack_integrations/components/embedders/instructor_jax/",),
}


def is_in(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_package_map_names_every_folder(project: dict, repository: Path) -> None:
    on_disk = {package_of(file.parent, repository) for file in sources(repository)}
    setuptools = project["tool"]["setuptools"]
    assert set(setuptools["packages"]) == on_disk
    assert setuptools["package-dir"] == {name: folder for folder, name in MAPPED.items()}
    for file in sources(repository):
        assert (file.parent / "__init__.py").is_file(), f"{file.parent} has no __init__.py"


def test_files_that_are_promised_exist(project: dict, repository: Path) -> None:
    folders = {name: folder for folder, name in MAPPED.items()}
    data = project["tool"]["setuptools"]["package-data"]
    assert "py.typed" in data["instructor_jax"]
    for package, patterns in data.items():
        top = next((name for name in folders if is_in(package, (name,))), None)
        folder = repository / (package if top is None else package.replace(top, folders[top], 1)).replace(".", "/")
        for pattern in patterns:
            assert list(folder.glob(pattern)), f"{package} promises {pattern}, {folder} has none"
    for name in (project["project"]["readme"], *project["project"]["license-files"]):
        assert (repository / name).is_file()


def test_files_that_are_not_python_are_in_the_wheel(project: dict, repository: Path) -> None:
    data = project["tool"]["setuptools"]["package-data"]
    for file in sorted(
        path for top in ("instructor_jax", "train", "convert") for path in (repository / top).rglob("*")
    ):
        if file.is_file() and file.suffix not in (".py", ".pyc"):
            package = next(folder for folder in file.parents if (folder / "__init__.py").is_file())
            inside = file.relative_to(package).as_posix()
            patterns = data.get(package_of(package, repository), [])
            assert any(fnmatch.fnmatch(inside, pattern) for pattern in patterns), f"the wheel would lack {file}"


@pytest.fixture(scope="module")
def house(repository: Path) -> House:
    return House(repository)


def own_name(module: str) -> str:
    """A module's name within the package; the front door is `__init__`."""
    return module.removeprefix("instructor_jax").lstrip(".") or "__init__"


def storey(name: str, storeys: tuple[tuple[str, ...], ...]) -> tuple[int, str] | None:
    """Number and name of the room that a module lies in; of nested rooms the inner one."""
    rooms = [(room, number) for number, level in enumerate(storeys) for room in level if is_in(name, (room,))]
    room, number = max(rooms, key=lambda found: len(found[0]), default=("", -1))
    return (number, room) if room else None


def wrong_imports(house: House) -> list[str]:
    """Imports that do not point down."""
    wrong = []
    for module, found in house.graph.items():
        for target, early in found.items():
            importer, imported = own_name(module), own_name(target)
            above, below = storey(importer, STOREYS), storey(imported, STOREYS)
            if above is None or below is None:
                wrong.append(f"{importer if above is None else imported} has no storey in tests/test_package.py")
                continue
            if above[1] == below[1]:  # one room; it may have storeys of its own
                inner = tuple(name.removeprefix(f"{above[1]}.") for name in (importer, imported))
                upper, lower = (storey(name, INSIDE.get(above[1], ())) for name in inner)
                if upper is None or lower is None or upper[1] == lower[1] or lower[0] < upper[0]:
                    continue
            elif below[0] < above[0] or (not early and (importer, below[1]) in HANDED_OVER):
                continue
            wrong.append(f"{importer} imports {imported}{'' if early else ' when called'}")
    return wrong


def test_imports_point_down(house: House) -> None:
    assert wrong_imports(house) == []


def test_every_folder_has_its_storey(house: House) -> None:
    for folder in {own_name(package_of(file.parent, house.checkout)) for file in house.files}:
        assert storey(folder, STOREYS), f"{folder} has no storey"
    rooms = {room for level in STOREYS for room in level}
    for top, levels in INSIDE.items():
        rooms |= {f"{top}.{room}" for level in levels for room in level}
    present = {own_name(module) for module in house.graph} | {"__init__"}
    assert rooms <= present, "a storey names a room that is gone"


def test_an_upward_import_would_be_seen(tmp_path: Path) -> None:
    texts = {
        "instructor_jax/__init__.py": "",
        "instructor_jax/nn/model.py": "def f():\n    import instructor_jax.embedder\n    import torch.nn\n",
        "instructor_jax/embedder.py": "from instructor_jax.nn import model",
        "instructor_jax/commands/search.py": "from ..train import step\nfrom .. import unheard_of",
        "instructor_jax/unheard_of.py": "",
        "train/step.py": "from .medi import store\ndef f():\n    import instructor_jax.commands.search\n",
        "train/medi/store.py": "",
        "train/data/rows.py": "from instructor_jax.train.medi import store\nfrom instructor_jax.train import step\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert sorted({*wrong_imports(House(tmp_path))}) == [
        "commands.search imports train.step",
        "nn.model imports embedder when called",
        "train.data.rows imports train.medi.store",
        "train.step imports commands.search when called",
        "unheard_of has no storey in tests/test_package.py",
    ]
    assert dict(imports(tmp_path / "instructor_jax/nn/model.py", tmp_path))["torch.nn"] is False
    assert module_of(tmp_path / "train/step.py", tmp_path) == "instructor_jax.train.step"


def test_the_house_gets_no_worse(house: House) -> None:
    measured = {line.name: line for line in house.measure()}
    worse = [line for name, limit in LIMITS.items() if (line := measured[name]).value > limit]
    assert worse == []
    assert sum(map(len, house.edges(lazy=False).values())) > len(house.files)  # it does see imports


def test_every_folder_of_tests_is_run_by_a_command(repository: Path) -> None:
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]
    by_default = {Path(place) for place in settings["ini_options"]["testpaths"]}
    by_name = {Path("tests/trust"), Path("tests/fuzz")}  # `python -m pytest tests/trust tests/fuzz`
    there = {file.relative_to(repository).parent for file in (repository / "tests").glob("*/**/test_*.py")}
    assert {Path(*folder.parts[:2]) for folder in there} == (by_default | by_name) - {Path("tests/test_*.py")}
    command = f"python -m pytest {' '.join(sorted(map(str, by_name), reverse=True))}\n"
    assert command in (repository / ".github/workflows/test.yml").read_text(encoding="utf-8")
    assert command.strip() in (repository / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_nobody_imports_the_folders_by_their_names_on_disk(repository: Path) -> None:
    files = [*sources(repository), *(repository / "tests").rglob("*.py"), *(repository / "benchmarks").rglob("*.py")]
    wrong = [
        f"{file.relative_to(repository)} imports {name}"
        for file in files
        for name, _ in imports(file, repository)
        if is_in(name, ("train", "convert"))
    ]
    assert wrong == []


def test_optional_and_slow_imports_stay_in_their_files(repository: Path) -> None:
    wrong = []
    for file in sources(repository):
        path = file.relative_to(repository).as_posix()
        for name, early in imports(file, repository):
            allowed = ALLOWED.get(name.partition(".")[0])
            if allowed is None:
                continue
            if not any(path == place or (place.endswith("/") and path.startswith(place)) for place in allowed):
                wrong.append(f"{path} imports {name}")
            elif (
                early
                and path.startswith("instructor_jax/")
                and not {"evaluation", "server", "integrations"} & set(path.split("/"))
            ):
                wrong.append(f"{path} imports {name} at its top")
    assert wrong == []


def test_the_public_names_resolve() -> None:
    import instructor_jax

    assert set(dir(instructor_jax)) >= {
        "Instructor",
        "INSTRUCTOR",
        "Instruction",
        "EncoderConfig",
        "pack",
        "embed",
        "losses",
    }
    for module in (instructor_jax, instructor_jax.losses):
        for name in module.__all__:
            assert getattr(module, name) is not None
    assert issubclass(instructor_jax.INSTRUCTOR, instructor_jax.Instructor)
    with pytest.raises(AttributeError, match="no attribute 'Instrutor'"):
        instructor_jax.Instrutor  # noqa: B018


def test_there_is_one_version(project: dict, repository: Path) -> None:
    import instructor_jax

    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "instructor_jax.version.__version__"}
    assert f'__version__ = "{instructor_jax.__version__}"' in (repository / "instructor_jax/version.py").read_text()


def test_importing_the_package_is_quick_and_imports_no_jax() -> None:
    program = (
        "import time; start = time.perf_counter(); import instructor_jax; taken = time.perf_counter() - start\n"
        "import sys; heavy = {'jax', 'numpy', 'flax', 'torch', 'tensorflow', 'transformers'} & set(sys.modules)\n"
        "print(taken, *heavy)"
    )
    # without PYTHONSTARTUP and the like; a coverage or debugging hook would import what it likes
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV"))}
    outputs = [
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    taken, heavy = zip(*(output.stdout.strip().partition(" ")[::2] for output in outputs), strict=True)
    assert set(heavy) == {""}
    assert min(map(float, taken)) < 0.3  # the best of five: other processes can only add to it
