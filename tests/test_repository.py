"""Rules of the repository that no linter knows. Each is a function of source text, tried on a bad example too."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from docs.imports import FOLDERS, ROOT, circle, imported_names, module_name, modules, package_of, rooms

IGNORED = {".git", ".venv", "build", "__pycache__", ".pytest_cache", ".hypothesis", ".ruff_cache"}


def tracked() -> list[Path]:
    """Return the files under version control, or every file of an exported tree."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]
    return [
        path for path in ROOT.rglob("*")
        if path.is_file() and not IGNORED.intersection(path.relative_to(ROOT).parts) and ".egg-info" not in str(path)
    ]


def python_files(*folders: str) -> list[Path]:
    return [p for p in tracked() if p.suffix == ".py" and (not folders or p.relative_to(ROOT).parts[0] in folders)]


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def forbidden_imports(folder: str, source: str, package: str) -> set[str]:
    """Return the imports that the folder's rule does not allow."""
    names = imported_names(source, package)
    if folder == "golden":
        return {name for name in names if within(name, "amaranth", "amaranth_boards", "vitric.hdl")}
    standard = {name for name in names if name.split(".")[0] in sys.stdlib_module_names}
    return {name for name in names - standard if not within(name, "amaranth", "vitric.golden.spec", "vitric.hdl")}


def test_packages_are_the_folders_with_init():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {module_name(path) for path in python_files(*FOLDERS) if path.name == "__init__.py"}
    with_code = {module_name(path.parent / "__init__.py") for path in python_files(*FOLDERS)}
    data = {"vitric.models", "vitric.models.integer", "vitric.configs"}  # files alone, so that a wheel has them
    assert set(project["packages"]) == folders | data
    assert with_code == folders and data <= set(project["package-data"])
    assert project["package-dir"] == {f"vitric.{folder}": folder for folder in (*FOLDERS, "models", "configs")}


@pytest.mark.parametrize("folder", ["golden", "hdl"])
def test_imports(folder):
    paths = python_files(folder)
    assert paths
    bad = {str(p.relative_to(ROOT)): forbidden_imports(folder, p.read_text(), package_of(p)) for p in paths}
    assert {path: names for path, names in bad.items() if names} == {}


def test_import_rule_catches():
    assert forbidden_imports("hdl", "import torch", "vitric.hdl") == {"torch"}
    assert forbidden_imports("hdl", "from ..golden.arith import requantize", "vitric.hdl")
    assert forbidden_imports("hdl", "from ...golden import arith", "vitric.hdl.mac") == {"vitric.golden.arith"}
    assert forbidden_imports("golden", "def f():\n    from amaranth import Signal", "vitric.golden")
    good = "import math\nfrom amaranth.lib import stream\nfrom ..golden.spec.mac import MacSpec\nfrom .fixed import add"
    assert not forbidden_imports("hdl", good, "vitric.hdl")


def test_no_module_and_no_package_imports_in_a_circle():
    graph = modules()
    assert len(graph) > 200 and circle(graph) == []
    packages = {"vitric", *(name.rpartition(".")[0] for name in graph)}
    assert {parent: found for parent in packages if (found := circle(rooms(graph, parent)))} == {}


def test_packages_import_only_those_before_them():
    found = rooms(modules())
    allowed = {f"vitric.{folder}": {f"vitric.{before}" for before in FOLDERS[:at]} for at, folder in enumerate(FOLDERS)}
    assert {name: more for name in found if (more := found[name] - allowed[name])} == {}


def test_circles_are_found():
    graph = {"vitric.a.x": {"vitric.b.y"}, "vitric.b.y": set(), "vitric.b.z": {"vitric.a.x"}}
    assert circle(graph) == []
    assert rooms(graph) == {"vitric.a": {"vitric.b"}, "vitric.b": {"vitric.a"}}
    assert set(circle(rooms(graph))) == {"vitric.a", "vitric.b"}
    assert rooms({"vitric.a.x": {"vitric.a.c.d"}, "vitric.a.c.d": set()}, "vitric.a") == {"vitric.a.c": set()}


def test_bare_connect_only_where_shapes_are_compared():
    bare = re.compile(r"\bwiring\.connect\(|from amaranth\.lib\.wiring import[^\n]*\bconnect\b")
    users = {str(path.relative_to(ROOT)) for path in python_files("hdl", "boards") if bare.search(path.read_text())}
    assert users <= {"hdl/streams.py", "hdl/accelerator/ports.py"}, "use their connect and join, which compare shapes"


def test_files_are_short():
    long = {str(p.relative_to(ROOT)): n for p in python_files() if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}


def test_no_absolute_machine_path():
    path = re.compile(rb"""(?<![\w.~/])/(?:work|root|home|Users|opt|mnt)/[\w.]""")
    assert path.search(b"see /" + b"root/x") and not path.search(b"docs/home/page, a/opt/b")
    found = {
        str(p.relative_to(ROOT)) for p in tracked()
        if p.suffix not in {".safetensors", ".png", ".bit"} and path.search(p.read_bytes())
    }
    assert found == set()


def near_tests(folder: str) -> list[Path]:
    """Return the tests and benches of a folder of the project: those in its mirror, and its own file beside that."""
    mirror = ROOT / "tests" / folder
    own = mirror.with_name(f"test_{mirror.name}.py")
    return [path for path in python_files("tests") if path.parent == mirror or path == own]


def has_own_test(path: Path) -> bool:
    """Return whether a module or its package has a test file of its name: ``test_NAME.py``, ``test_NAME_topic.py``."""
    mirror = ROOT / "tests" / path.relative_to(ROOT).parent
    return (mirror.with_name(f"test_{mirror.name}.py").exists() or (mirror / f"test_{path.stem}.py").exists()
            or any(mirror.glob(f"test_{path.stem}_*.py")))


def untested_modules() -> set[str]:
    """Return the modules that nothing at a place where one would look for it tests.

    A module has a test file of its name; or a test in the mirror of its folder imports it; or a module with a test file
    of its own uses it; or another one of its folder does that is tested in one of these ways.
    """
    paths = {module_name(path): path for path in python_files(*FOLDERS) if path.name != "__init__.py"}
    used = {name: imported & set(paths) | set(paths) & set(re.findall(r"vitric(?:\.\w+)+", paths[name].read_text()))
            for name, imported in modules().items() if name in paths}
    with_file = {name for name, path in paths.items() if has_own_test(path)}
    tested = set(with_file)
    for name, path in paths.items():
        for test in near_tests(path.relative_to(ROOT).parent.as_posix()):
            tested |= {name for found in imported_names(test.read_text(), "tests") if within(found, name)}
    tested |= {other for name in with_file for other in used[name] if other.split(".")[1] == name.split(".")[1]}
    while more := {other for name in tested for other in used[name]
                   if other.rpartition(".")[0] == name.rpartition(".")[0]} - tested:
        tested |= more
    return set(paths) - tested


def test_tests_mirror_the_folders():
    assert untested_modules() == set()
    lost = [str(path.relative_to(ROOT)) for path in python_files("tests")
            if path.stem.startswith("test_") and path.parent != ROOT / "tests" and not mirrored(path)]
    assert lost == [], "a test file is named after the module or package that it tests, and stands where that stands"


def mirrored(path: Path) -> bool:
    """Return whether a test file is named after a module or package of the folder that its own mirrors."""
    folder, words = ROOT / path.relative_to(ROOT / "tests").parent, path.stem.split("_")[1:]
    names = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
    return any((folder / f"{name}.py").exists() or (folder / name / "__init__.py").exists() for name in names)


def disabled_tests(source: str) -> list[str]:
    """Return the marks and calls by which a test is not run or may fail."""
    banned = {"skip", "skipif", "skipTest", "SkipTest", "importorskip", "xfail", "expect_fail", "expect_error"}
    tree = ast.walk(ast.parse(source))
    return [
        ast.unparse(node) for node in tree
        if (isinstance(node, ast.Attribute) and node.attr in banned)
        or (isinstance(node, ast.ImportFrom) and banned.intersection(alias.name for alias in node.names))
        or (isinstance(node, ast.keyword) and node.arg in banned)
    ]


def test_no_test_is_disabled():
    for bad in ("@mark.skip\ndef f(): pass", "pytest.importorskip('x')", "@cocotb.test(skip=True)\ndef f(): pass"):
        assert disabled_tests(bad)
    found = {str(p.relative_to(ROOT)): disabled_tests(p.read_text()) for p in python_files("tests", "sim")}
    assert {path: marks for path, marks in found.items() if marks} == {}


def checks(tree: ast.Module) -> dict[str, bool]:
    """Return, for each test function, whether it or something it calls can fail: an assertion, ``raises``, a check."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, kinds)}
    checking = re.compile(r"^(assert|check|expect|raises|warns|prove|run_bench|fail$)")

    def can_fail(name: str, seen: frozenset) -> bool:
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Assert):
                return True
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if checking.match(called):
                    return True
                if called in functions and called not in seen and can_fail(called, seen | {called}):
                    return True
        return False

    return {name: can_fail(name, frozenset({name})) for name in functions if name.startswith("test_")}


def test_every_test_asserts():
    sample = "def test_x():\n    run()\ndef test_y():\n    assert 1"
    assert checks(ast.parse(sample)) == {"test_x": False, "test_y": True}
    empty = {
        f"{path.relative_to(ROOT)}::{name}" for path in python_files("tests")
        for name, fine in checks(ast.parse(path.read_text())).items() if not fine
    }
    assert empty == set()


def offering_modules() -> list[Path]:
    """Return the modules that define something, except benches (cocotb finds those; nobody imports them)."""
    return [
        path for path in python_files(*FOLDERS)
        if path.parent.name != "benches" and len(ast.parse(path.read_text()).body) > 1
    ]


@pytest.mark.parametrize("path", offering_modules(), ids=module_name)
def test_public_names_exist(path):
    module = import_module(module_name(path))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_lint():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_wheel_holds_every_package(tmp_path):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-build-isolation"]
    copy = tmp_path / "tree"
    for path in tracked():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    done = subprocess.run([*command, "-w", tmp_path, copy], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    listing = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", *tmp_path.glob("*.whl")], capture_output=True, text=True, check=True
    ).stdout
    expected = {f"vitric/{path.relative_to(ROOT)}" for path in python_files(*FOLDERS)}
    assert {name for name in expected if name not in listing} == set()
