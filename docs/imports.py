"""Which package imports which: ``python -m docs.imports`` draws it, and the tests hold it free of circles.

Imports inside functions count too: what a command needs is what it needs, whenever it is loaded.
"""

import ast
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from vitric.flow.start import run

__all__ = ["FOLDERS", "ROOT", "circle", "diagram", "imported_names", "main", "module_name", "modules", "package_of",
           "rooms"]

ROOT = Path(__file__).resolve().parents[1]

FOLDERS = ("golden", "hdl", "compiler", "toolchain", "boards", "integration", "sim", "formal", "flow")
"""The packages below ``vitric``, each after those that it may import."""

Graph = Mapping[str, Iterable[str]]


def module_name(path: Path) -> str:
    """Return the full name of the module in a file of one of :data:`FOLDERS`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("vitric", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def package_of(path: Path) -> str:
    """Return the full name of the package that a module is in; a package is in itself."""
    return module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]


def imported_names(source: str, package: str) -> set[str]:
    """Return the full names of what ``source`` imports, relative imports resolved against ``package``."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join((*base, *([node.module] if node.module else [])))
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def modules(folders: Iterable[str] = FOLDERS) -> dict[str, set[str]]:
    """Return for each module below ``folders`` the modules of the project that it imports."""
    paths = {module_name(path): path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))}
    graph: dict[str, set[str]] = {}
    for name, path in paths.items():
        graph[name] = set()
        for found in imported_names(path.read_text(encoding="utf-8"), package_of(path)):
            while found and found not in paths:
                found = found.rpartition(".")[0]
            if found and found != name:
                graph[name].add(found)
    return graph


def rooms(graph: Graph, parent: str = "vitric") -> dict[str, set[str]]:
    """Return which of the packages right below ``parent`` imports which of the others, from a graph of modules."""
    inside = [name for name in graph if name.startswith(f"{parent}.")]
    depth = parent.count(".") + 1
    children = {".".join(name.split(".")[:depth + 1]) for name in inside}
    packages = {child for child in children if any(name.startswith(f"{child}.") for name in inside)}

    def room(name: str) -> str:
        return ".".join(name.split(".")[:depth + 1])

    found: dict[str, set[str]] = {package: set() for package in sorted(packages)}
    for name in inside:
        if room(name) in packages:
            found[room(name)] |= {room(other) for other in graph[name]} & packages - {room(name)}
    return found


def circle(graph: Graph) -> list[str]:
    """Return names that import one another in a circle, the first one again at the end; empty if none do."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def diagram() -> str:
    """Return the packages as a Mermaid flowchart; an arrow that follows from others is left out."""
    graph = rooms(modules())
    reached = {package: {far for near in others for far in _below(graph, near)} for package, others in graph.items()}
    lines = [f"    {package.rpartition('.')[2]} --> {other.rpartition('.')[2]}"
             for package in (f"vitric.{folder}" for folder in FOLDERS)
             for other in sorted(graph[package] - reached[package])]
    return "\n".join(["```mermaid", "flowchart BT", *lines, "```"]) + "\n"


def _below(graph: Mapping[str, set[str]], package: str) -> set[str]:
    """Return everything that ``package`` imports, directly or not."""
    return graph[package] | {far for near in graph[package] for far in _below(graph, near)}


def main() -> None:
    """Print the diagram."""
    print(diagram(), end="")


if __name__ == "__main__":
    run(main)
