"""Rules of the repository that no linter knows. Each is a function of source text, tried on a bad example too."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("golden", "hdl", "compiler", "toolchain", "boards", "sim", "formal", "flow")
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


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("vitric", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def imported_modules(source: str, package: str) -> set[str]:
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


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def forbidden_imports(folder: str, source: str, package: str) -> set[str]:
    """Return the imports that the folder's rule does not allow."""
    names = imported_modules(source, package)
    if folder == "golden":
        return {name for name in names if within(name, "amaranth", "amaranth_boards", "vitric.hdl")}
    standard = {name for name in names if name.split(".")[0] in sys.stdlib_module_names}
    return {name for name in names - standard if not within(name, "amaranth", "vitric.golden.spec", "vitric.hdl")}


def package_of(path: Path) -> str:
    return module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]


def test_packages_are_the_folders_with_init():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {module_name(path) for path in python_files(*FOLDERS) if path.name == "__init__.py"}
    with_code = {module_name(path.parent / "__init__.py") for path in python_files(*FOLDERS)}
    assert set(project["packages"]) == folders
    assert with_code == folders
    assert project["package-dir"] == {f"vitric.{folder}": folder for folder in FOLDERS}


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
