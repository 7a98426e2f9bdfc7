"""The arrows of the design, read off the import statements."""

import ast

import pytest

from tests.conftest import ROOT, run_python

PACKAGE = ROOT / "amsl_tf"
FILES = sorted(PACKAGE.rglob("*.py"))

# Which modules a module may import, from left to right along the way of the data; a folder stands for its modules.
ORDER = [
    ("errors", "views", "progress", "threshold"),
    ("checks",),
    ("model_config",),
    ("config",),
    ("data.files", "data.windows", "data.splits"),
    ("data.dsads", "data.store"),
    ("data.synthetic", "data.preprocessing"),
    ("transforms", "losses", "figures"),
    ("data.pipeline",),
    ("transformation", "layers", "precision"),
    ("models.encoder", "models.decoder", "models.view_classifier", "models.seeds"),
    ("models.amsl", "models.autoencoder"),
    ("models.network",),
    ("models", "monitoring"),
    ("training",),
    ("scoring", "saved", "fingerprint"),
    ("evaluation", "fitting"),
    ("results", "detector"),
    ("experiment", "served", "recordings", "cli", "report"),
    ("served_model", "serving.status"),
    ("export",),
    ("serving.models", "serving.client"),
    ("serving.metrics", "serving.rest"),
    ("serving.grpc_services",),
    ("serving.server",),
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def rank(module: str) -> int:
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in RANK:
            return RANK[".".join(parts[:end])]
    raise AssertionError(f"{module} has no place in ORDER")


def imports(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            if (ROOT / node.module.replace(".", "/")).is_dir():  # what comes from a package may be a module of it
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(file):
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("file", [file for file in FILES if file.stem != "__init__"], ids=module_name)
def test_imports_point_one_way(file):
    name = module_name(file)
    for imported in imports(file):
        target = imported.removeprefix("amsl_tf.")
        if imported.startswith("amsl_tf.") and target not in ("__version__", "data"):
            same_package = target.split(".")[0] == name.split(".")[0] and rank(target) == rank(name)
            assert same_package or rank(target) < rank(name), f"{name} imports {target}"


@pytest.mark.parametrize("file", FILES, ids=module_name)
def test_tensorflow_stays_where_it_belongs(file):
    name = module_name(file)
    allowed = {
        "transforms",
        "data.pipeline",
        "precision",
        "training",
        "scoring",
        "monitoring",
        "served_model",
        "export",
        "serving",
    }
    uses = any(imported.split(".")[0] in ("tensorflow", "tensorflow_serving") for imported in imports(file))
    assert not uses or {name, name.split(".")[0]} & allowed


def test_scripts_never_import_scripts():
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    names = {file.stem for file in scripts}
    assert all(imported.split(".")[0] not in names for file in scripts for imported in imports(file))


def test_importing_the_package_starts_neither_tensorflow_nor_keras():
    use = "import sys, amsl_tf; amsl_tf.VIEWS; amsl_tf.DetectorConfig(); amsl_tf.Windows"
    finished = run_python("-c", f"{use}; print({{'tensorflow', 'keras'}} & set(sys.modules))")
    assert finished.stdout == "set()\n", finished.stderr


def test_every_public_name_is_there():
    code = "import amsl_tf; print(all(getattr(amsl_tf, name) for name in amsl_tf.__all__))"
    assert run_python("-c", code).stdout == "True\n"
