"""Registries of the parts that users can add: views, networks, features, scores, data sets and commands."""

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from amsl_tf.errors import AMSLError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Named parts of one kind, in the order in which they were registered.

    A part that is registered as text, `"package.module:attribute"`, is imported when it is first used, so that a registry costs
    nothing until then.

    Args:
        kind: The kind of part, for error messages, such as `view`.
        parts: The parts by name, each itself or as text.
        attributes: The attributes that every part must have. The attribute `name`, if required, must be the registered name.
        unique: The attributes in which all parts must differ.
        reserved: Names that mean something else where parts are looked up.

    Example:
        >>> SCORES.register("mine", "my_package.my_score:MyScore")
    """

    def __init__(
        self,
        kind: str,
        parts: Mapping[str, T | str],
        attributes: tuple[str, ...] = (),
        *,
        unique: tuple[str, ...] = (),
        reserved: Collection[str] = (),
    ) -> None:
        self._kind, self._attributes, self._unique, self._reserved = kind, attributes, unique, reserved
        self._parts: dict[str, T | str] = dict(parts)

    def register(self, name: str, part: T | str) -> None:
        """Adds a part.

        Args:
            name: A name that is neither in use nor reserved.
            part: The part itself, or `"package.module:attribute"`.

        Raises:
            AMSLError: The name cannot be used, or the part is not one of this kind.
        """
        if not isinstance(name, str) or not name.isidentifier():
            raise AMSLError(f"the name of a {self._kind} must be an identifier, such as my_{self._kind}. Received: {name!r}.")
        if name in self._parts:
            raise AMSLError(f"the {self._kind} {name!r} is registered already. Choose another name.")
        if name in self._reserved:
            reserved = ", ".join(self._reserved)
            raise AMSLError(f"the name of a {self._kind} must differ from {reserved}, which are reserved. Received: {name!r}.")
        if not isinstance(part, str):
            self._check(name, part)
        elif ":" not in part:
            raise AMSLError(f"a {self._kind} must be given itself, or as 'package.module:attribute'. Received: {part!r}.")
        self._parts[name] = part

    def unregister(self, name: str) -> None:
        """Removes a part that was added with `register`. Raises KeyError for an unknown name."""
        del self._parts[name]

    def __getitem__(self, name: str) -> T:
        """Returns the part of a name. Raises AMSLError if the name is unknown, or its part cannot be imported or used."""
        if name not in self:
            raise AMSLError(f"{self._kind} must be one of {', '.join(self._parts)}. Received: {name!r}.")
        part = self._parts[name]
        if isinstance(part, str):
            module, _, attribute = part.partition(":")
            part = cast(T, import_attribute(module, attribute, f"the {self._kind} {name!r}"))
            self._check(name, part)
            self._parts[name] = part
        return part

    def get(self, name: str, default: Any = None) -> Any:
        """Returns the part of a name, or a default for an unknown name."""
        return self[name] if name in self else default  # noqa: SIM401, which would call this method

    def _check(self, name: str, part: T) -> None:
        abstract = sorted(getattr(part, "__abstractmethods__", ()))  # methods that a subclass must have, and has not
        missing = [*(attribute for attribute in self._attributes if not hasattr(part, attribute)), *abstract]
        if missing:
            expected = ", ".join(self._attributes)
            raise AMSLError(f"a {self._kind} must have the attributes {expected}. Received: {part!r}, without {missing[0]}.")
        own = getattr(part, "name", None)
        if "name" in self._attributes and own != name:
            raise AMSLError(f"the {self._kind} {own!r} must be registered under its own name. Received: {name!r}.")
        for attribute in self._unique:
            value = getattr(part, attribute)
            for other, known in self._parts.items():
                if other != name and not isinstance(known, str) and getattr(known, attribute) == value:
                    raise AMSLError(
                        f"the {attribute} of a {self._kind} must be unique. Received: {value!r} for {name!r}, as for {other!r}."
                    )

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def import_part(module: str, what: str) -> ModuleType:
    """Imports the module of a part.

    Args:
        module: The name of the module.
        what: The part, for the error message, such as `the view 'noise'`.

    Returns:
        The module.

    Raises:
        AMSLError: The module cannot be imported.
    """
    try:
        return import_module(module)
    except Exception as error:  # a module of a user can raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise AMSLError(
            f"{what} needs the module {module!r}, which cannot be imported ({reason}). Install or correct it."
        ) from error


def import_attribute(module: str, attribute: str, what: str) -> Any:
    """Imports an attribute of the module of a part. Raises AMSLError if there is none, or as `import_part` does."""
    imported = import_part(module, what)
    if not hasattr(imported, attribute):
        raise AMSLError(f"{what} needs {attribute!r} in the module {module!r}, which has no such attribute. Correct the name.")
    return getattr(imported, attribute)
