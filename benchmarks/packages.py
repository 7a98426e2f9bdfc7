"""The packages that benchmarks use: which are missing, and the versions of those installed."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata

from amsl_tf.errors import AMSLError

# what installs the optional packages; torch, which is large, is needed by one baseline only
INSTALL = {**dict.fromkeys(("aeon", "hmmlearn", "pyod"), "'.[baselines]'"), "torch": "torch"}


@contextmanager
def installed_packages(name: str) -> Iterator[None]:
    """A context in which a method is imported, and in which a missing optional package is an error that names the remedy.

    Raises:
        AMSLError: A package that the method `name` needs is not installed.
    """
    try:
        yield
    except (ModuleNotFoundError, AMSLError) as error:  # a registry wraps the error in an AMSLError
        missing = error.__cause__ if isinstance(error, AMSLError) else error
        package = (getattr(missing, "name", None) or "").partition(".")[0]
        if package not in INSTALL:
            raise
        raise AMSLError(f"{name} needs {package}, which is not installed. Run pip install {INSTALL[package]}.") from None


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Returns the versions of Python and of those packages that are installed."""
    installed = {name: list(metadata.distributions(name=name)) for name in packages}
    return {"python": platform.python_version(), **{name: found[0].version for name, found in installed.items() if found}}
