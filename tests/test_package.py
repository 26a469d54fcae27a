"""The package map, the direction of imports, and what a first import costs."""

import ast
import fnmatch
import graphlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

MAPPED = {"train": "instructor_jax.train", "convert": "instructor_jax.convert"}
APPLICATIONS = ("instructor_jax.train", "instructor_jax.convert", "instructor_jax.evaluation")
# The files that need an extra or something slow to import; everything else must do without.
ALLOWED = {
    "torch": (
        "instructor_jax/inference/torch_tensors.py",
        "instructor_jax/io/other_libraries.py",
        "convert/verify.py",
        "instructor_jax/evaluation/",
        "train/medi/mining/scorers.py",
        "train/distill/teacher.py",
    ),
    "transformers": ("instructor_jax/io/other_libraries.py", "convert/verify.py", "instructor_jax/evaluation/"),
    "sentence_transformers": (
        "instructor_jax/io/other_libraries.py",
        "train/medi/mining/scorers.py",
        "train/distill/teacher.py",
        "instructor_jax/evaluation/",
    ),
    "mteb": ("instructor_jax/evaluation/", "instructor_jax/drop_in/mteb.py"),
    "tensorflow": (),
    "tensorflow_datasets": ("train/",),
    "orbax": ("instructor_jax/io/own_folder.py", "instructor_jax/io/folder_writer.py", "convert/", "train/"),
    "optax": ("train/",),
    "grain": ("train/",),
    "sklearn": ("train/", "instructor_jax/evaluation/", "instructor_jax/text/tfidf.py"),
    "pyarrow": ("instructor_jax/io/", "instructor_jax/commands/", "train/", "instructor_jax/evaluation/"),
    "matplotlib": ("instructor_jax/html.py", "instructor_jax/commands/", "train/", "instructor_jax/evaluation/"),
}


def sources(repository: Path) -> list[Path]:
    return sorted(file for top in ("instructor_jax", "train", "convert") for file in (repository / top).rglob("*.py"))


def package_of(path: Path, repository: Path) -> str:
    """The package's name in Python: train/medi -> instructor_jax.train.medi."""
    parts = path.relative_to(repository).parts
    return ".".join([MAPPED.get(parts[0], parts[0]), *parts[1:]])


def imports(file: Path, repository: Path) -> Iterator[tuple[str, bool]]:
    """Absolute names of the modules a file imports, and whether that happens when it is itself imported."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    late = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node not in late
        elif isinstance(node, ast.ImportFrom):
            package = package_of(file.parent, repository).split(".")
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module, node not in late
            for alias in node.names:  # `from . import x` names modules too
                yield f"{module}.{alias.name}", node not in late


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


def test_imports_point_down(repository: Path) -> None:
    wrong = []
    for file in sources(repository):
        own = package_of(file.parent, repository)
        home = next((name for name in APPLICATIONS if is_in(own, (name,))), None)
        for name, early in imports(file, repository):
            target = next((package for package in APPLICATIONS if is_in(name, (package,))), None)
            # by name and late is how the console command, and the trainer its evaluation, reach an application
            if target not in (None, home) and (early or not file.name.startswith(("cli", "main"))):
                wrong.append(f"{file.relative_to(repository)} imports {name}")
            if home is not None and is_in(name, ("instructor_jax.cli",)):
                wrong.append(f"{file.relative_to(repository)} imports {name}")
    assert wrong == []


def test_an_upward_import_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "instructor_jax" / "x.py"
    file.parent.mkdir()
    file.write_text("from instructor_jax import train\nfrom ..convert import a\ndef f():\n    import torch.nn\n")
    found = dict(imports(file, tmp_path))
    assert found["instructor_jax.train"]
    assert found["torch.nn"] is False
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "y.py").write_text("from .medi import store\n")
    assert dict(imports(tmp_path / "train" / "y.py", tmp_path))["instructor_jax.train.medi.store"]


def test_no_module_needs_one_that_needs_it(repository: Path) -> None:
    modules = {package_of(file.with_suffix(""), repository): file for file in sources(repository)}
    graph = {
        own: {name for name, early in imports(file, repository) if early and name in modules}
        for own, file in modules.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
    assert sum(map(len, graph.values())) > len(modules)


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
            elif early and path.startswith("instructor_jax/") and "/evaluation/" not in path:
                wrong.append(f"{path} imports {name} at its top")
    assert wrong == []


def test_the_public_names_resolve() -> None:
    import instructor_jax

    assert set(dir(instructor_jax)) >= {"Instructor", "INSTRUCTOR", "Instruction", "EncoderConfig"}
    for name in instructor_jax.__all__:
        assert getattr(instructor_jax, name) is not None
    assert issubclass(instructor_jax.INSTRUCTOR, instructor_jax.Instructor)
    with pytest.raises(AttributeError, match="no attribute 'Instrutor'"):
        instructor_jax.Instrutor  # noqa: B018


def test_the_version_is_the_projects(project: dict) -> None:
    import instructor_jax

    assert instructor_jax.__version__ == project["project"]["version"]


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
