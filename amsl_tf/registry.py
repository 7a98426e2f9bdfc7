"""Registries of the parts that users can add: views, networks, features, scores, data sets and commands."""

from collections.abc import Iterator, Mapping
from importlib import import_module
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
        attributes: The attributes that every part must have.

    Example:
        >>> SCORES.register("mine", "my_package.my_score:MyScore")
    """

    def __init__(self, kind: str, parts: Mapping[str, T | str], attributes: tuple[str, ...] = ()) -> None:
        self._kind, self._attributes = kind, attributes
        self._parts: dict[str, T | str] = dict(parts)

    def register(self, name: str, part: T | str) -> None:
        """Adds a part.

        Args:
            name: A name that is not in use.
            part: The part itself, or `"package.module:attribute"`.

        Raises:
            AMSLError: The name is in use, or the part is not one of this kind.
        """
        if not isinstance(name, str) or not name.isidentifier():
            raise AMSLError(f"the name of a {self._kind} must be an identifier, such as my_{self._kind}. Received: {name!r}.")
        if name in self._parts:
            raise AMSLError(f"the {self._kind} {name!r} is registered already. Choose another name.")
        if not isinstance(part, str):
            self._check(part)
        elif ":" not in part:
            raise AMSLError(f"a part must be given as 'package.module:attribute', or itself. Received: {part!r}.")
        self._parts[name] = part

    def unregister(self, name: str) -> None:
        """Removes a part that was added with `register`. Raises KeyError for an unknown name."""
        del self._parts[name]

    def __getitem__(self, name: str) -> T:
        """Returns the part of a name. Raises AMSLError for an unknown name."""
        if name not in self:
            raise AMSLError(f"{self._kind} must be one of {', '.join(self._parts)}. Received: {name!r}.")
        part = self._parts[name]
        if isinstance(part, str):
            module, _, attribute = part.partition(":")
            part = cast(T, getattr(import_module(module), attribute))
            self._check(part)
            self._parts[name] = part
        return part

    def get(self, name: str, default: Any = None) -> Any:
        """Returns the part of a name, or a default for an unknown name."""
        return self[name] if name in self else default  # noqa: SIM401, which would call this method

    def _check(self, part: T) -> None:
        missing = [name for name in self._attributes if not hasattr(part, name)]
        if missing:
            expected = ", ".join(self._attributes)
            raise AMSLError(f"a {self._kind} must have the attributes {expected}. Received: {part!r}, without {missing[0]}.")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)
