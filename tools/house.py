"""Measures how the code is laid out: rooms, imports, lengths and docstrings, as one small table.

Run it from anywhere with `python tools/house.py [CHECKOUT]`; it needs nothing but Python and reads the files without
importing them. `tests/test_package.py` holds the same numbers to their limits.
"""

import ast
import dataclasses
import graphlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path

MAPPED = {"train": "instructor_jax.train", "convert": "instructor_jax.convert"}
NAMESPACE = "haystack_integrations"  # Haystack's, of which one package is ours
LONG_FILE, LONG_FUNCTION, MANY_PARAMETERS = 250, 70, 6
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(checkout: Path) -> list[Path]:
    """Lists the product's Python files."""
    return sorted(file for top in ("instructor_jax", NAMESPACE, *MAPPED) for file in (checkout / top).rglob("*.py"))


def package_of(path: Path, checkout: Path) -> str:
    """Names a folder, or a file without its suffix, as Python does: train/medi -> instructor_jax.train.medi."""
    parts = path.relative_to(checkout).parts
    return ".".join([MAPPED.get(parts[0], parts[0]), *parts[1:]])


def module_of(file: Path, checkout: Path) -> str:
    """Names a file as Python does; a folder's `__init__.py` has the folder's name."""
    return package_of(file.parent if file.name == "__init__.py" else file.with_suffix(""), checkout)


@cache
def tree_of(file: Path) -> ast.Module:
    """Parses a file once."""
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def imports(file: Path, checkout: Path) -> tuple[tuple[str, bool], ...]:
    """Returns the absolute names a file imports, and whether that happens when it is itself imported.

    An import inside a function, or one that only type checkers see, happens later or never.
    """
    return tuple(_imports(tree_of(file), file, checkout))


def _imports(tree: ast.Module, file: Path, checkout: Path) -> Iterator[tuple[str, bool]]:
    late = {
        child
        for node in ast.walk(tree)
        if isinstance(node, Function) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node not in late
        elif isinstance(node, ast.ImportFrom):
            package = package_of(file.parent, checkout).split(".")
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module, node not in late
            for alias in node.names:  # `from . import x` names modules too
                yield f"{module}.{alias.name}", node not in late


@dataclasses.dataclass(frozen=True)
class Measured:
    """One line of the table.

    Attributes:
        name: What is measured.
        value: The number.
        where: The place of the worst case, or of all cases.
    """

    name: str
    value: int
    where: str


class House:
    """The product's files of one checkout, parsed once."""

    def __init__(self, checkout: Path):
        self.checkout = checkout
        self.files = sources(checkout)
        self.trees = {file: tree_of(file) for file in self.files}

    @cached_property
    def graph(self) -> dict[str, dict[str, bool]]:
        """Maps every module to the modules it imports, and whether it does so at import time."""
        modules = {module_of(file, self.checkout): file for file in self.files}
        graph: dict[str, dict[str, bool]] = {name: {} for name in modules}
        for own, file in modules.items():
            for name, early in imports(file, self.checkout):
                if name in modules and name != own:
                    graph[own][name] = graph[own].get(name, False) or early
        return graph

    def edges(self, lazy: bool) -> dict[str, set[str]]:
        """Maps every module to those it imports at import time, or with `lazy` to those it imports at all."""
        return {own: {name for name, early in found.items() if early or lazy} for own, found in self.graph.items()}

    def circle(self, lazy: bool) -> list[str]:
        """Returns the modules of one circle of imports, or nothing where there is none."""
        try:
            graphlib.TopologicalSorter(self.edges(lazy)).prepare()
        except graphlib.CycleError as error:
            return error.args[1]
        return []

    def chain(self, lazy: bool) -> list[str]:
        """Returns the longest chain of modules that import each other; nothing where they run in circles."""
        edges = self.edges(lazy)
        longest: dict[str, list[str]] = {}
        try:
            for module in graphlib.TopologicalSorter(edges).static_order():  # what is imported comes first
                longest[module] = [module, *max((longest[name] for name in sorted(edges[module])), key=len, default=[])]
        except graphlib.CycleError:
            return []
        return max(longest.values(), key=len)

    def functions(self) -> Iterator[tuple[Path, Function]]:
        """Yields every function and method, nested ones included."""
        for file, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, Function):
                    yield file, node

    def undocumented(self) -> Iterator[str]:
        """Yields the public functions, classes and methods that have no docstring."""
        for file, tree in self.trees.items():
            module = module_of(file, self.checkout)
            for name, node in _public(tree.body, module):
                if ast.get_docstring(node) is None:
                    yield name

    def public(self) -> int:
        """Counts the public functions, classes and methods."""
        return sum(len(list(_public(tree.body, ""))) for tree in self.trees.values())

    def place(self, file: Path) -> str:
        """Returns a file's path within the checkout."""
        return file.relative_to(self.checkout).as_posix()

    def measure(self) -> list[Measured]:
        """Returns all lines of the table."""
        folder, files = Counter(file.parent for file in self.files).most_common(1)[0]
        lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in self.files}
        spans = [(_lines(node), f"{self.place(file)}:{node.name}") for file, node in self.functions()]
        wide = [f"{self.place(file)}:{node.name}" for file, node in self.functions() if _parameters(node) > 6]
        bare = list(self.undocumented())
        importers = {name: len(found) for name, found in self.edges(lazy=False).items()}
        widest = max(importers, key=lambda name: importers[name])
        return [
            Measured("product files", len(self.files), f"{sum(lengths.values()):,} lines"),
            Measured("files of the largest flat folder", files, self.place(folder)),
            Measured("longest import chain", len(chain := self.chain(lazy=False)), " > ".join(_short(chain))),
            Measured("longest import chain, lazy ones too", len(chain := self.chain(lazy=True)), _ends(chain)),
            Measured("modules in an import circle", len(circle := self.circle(lazy=False)), " > ".join(_short(circle))),
            Measured("... lazy imports too", len(circle := self.circle(lazy=True)), " > ".join(_short(circle))),
            Measured("most imports of one file", importers[widest], widest),
            Measured("lines of the longest function", *max(spans)),
            Measured(f"functions above {LONG_FUNCTION} lines", *_count(w for n, w in spans if n > LONG_FUNCTION)),
            Measured(
                f"files above {LONG_FILE} lines",
                *_count(self.place(file) for file, lines in lengths.items() if lines > LONG_FILE),
            ),
            Measured(f"functions above {MANY_PARAMETERS} parameters", *_count(wide, shown=4)),
            Measured("public names without docstring", len(bare), f"of {self.public():,}: {', '.join(bare[:4])}"),
        ]


def _public(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            name = f"{prefix}.{node.name}"
            yield name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, name)


def _lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parameters(node: Function) -> int:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def _short(modules: Iterable[str]) -> list[str]:
    return [name.removeprefix("instructor_jax.") for name in modules]


def _ends(chain: list[str]) -> str:
    return f"from {chain[0]} to {chain[-1]}" if chain else "none: they run in circles"


def _count(places: Iterable[str], shown: int = 3) -> tuple[int, str]:
    found = sorted(places)
    return len(found), ", ".join(found[:shown]) + (", ..." if len(found) > shown else "")


def main() -> None:
    """Prints the table of a checkout, this one unless another is named."""
    checkout = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    for line in House(checkout).measure():
        print(f"{line.name:38}{line.value:6}  {line.where}")


if __name__ == "__main__":
    main()
