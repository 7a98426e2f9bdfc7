"""The arrows of the design, read off the import statements."""

import ast

import pytest

from tests.conftest import ROOT, run_python

PACKAGE = ROOT / "amsl_tf"
FILES = sorted(PACKAGE.rglob("*.py"))

# Which modules a module may import, from left to right along the way of the data; a folder stands for its modules.
ORDER = [
    ("errors", "views"),
    ("config",),
    ("data.files", "data.windows", "data.splits"),
    ("data.dsads", "data.store"),
    ("data.synthetic", "data.preprocessing"),
    ("transforms", "layers"),
    ("models", "losses", "precision"),
    ("data.pipeline",),
    ("transformation", "training"),
    ("scoring", "threshold", "saved"),
    ("evaluation",),
    ("results", "detector"),
    ("experiment", "cli"),
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def rank(module: str) -> int:
    parts = module.split(".")
    return next(RANK[".".join(parts[:end])] for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in RANK)


def imports(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if (
                node.module == "amsl_tf"
                or (node.module or "").startswith("amsl_tf.")
                and (PACKAGE / node.module[8:].replace(".", "/")).is_dir()
            ):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


def module_name(file):
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("file", [file for file in FILES if file.parent != PACKAGE or file.stem != "__init__"], ids=module_name)
def test_imports_point_one_way(file):
    name = module_name(file)
    if name == "data":
        return
    for imported in imports(file):
        if not imported.startswith("amsl_tf."):
            continue
        target = imported.removeprefix("amsl_tf.")
        if target in ("__version__", "data") or target.split(".")[0] == name.split(".")[0] and rank(target) == rank(name):
            continue
        try:
            assert rank(target) < rank(name), f"{name} imports {target}"
        except StopIteration:
            raise AssertionError(f"{target} has no place in ORDER") from None


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_tensorflow_stays_where_it_belongs(file):
    name = module_name(file)
    allowed = {"transforms", "data.pipeline", "precision", "training", "scoring.path"}
    assert name in allowed or not any(imported.split(".")[0] == "tensorflow" for imported in imports(file))


def test_scripts_never_import_scripts():
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    names = {file.stem for file in scripts}
    assert all(imported.split(".")[0] not in names for file in scripts for imported in imports(file))


def test_importing_the_package_starts_neither_tensorflow_nor_keras():
    code = "import sys, amsl_tf; amsl_tf.VIEWS; amsl_tf.DetectorConfig(); amsl_tf.Windows; print({'tensorflow', 'keras'} & set(sys.modules))"
    finished = run_python("-c", code)
    assert finished.stdout == "set()\n", finished.stderr


def test_every_public_name_is_there():
    code = "import amsl_tf; print(all(getattr(amsl_tf, name) for name in amsl_tf.__all__))"
    assert run_python("-c", code).stdout == "True\n"
