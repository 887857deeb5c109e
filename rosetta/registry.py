"""Name → plug-in. A plug-in registers itself by a decorator; other distributions add theirs by entry point."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from rosetta.errors import UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """The plug-ins of one kind.

    Parameters
    ----------
    kind : str
        What one plug-in is called in messages, such as ``"selector"``.
    package : str
        Package whose modules hold the built-in plug-ins; they are imported at the first look-up.
    group : str, optional
        Of entry points; ``rosetta.<last part of package>``, if not given.

    Notes
    -----
    A third party's distribution adds to it with an entry point in the group; the entry point's object is registered
    under its name.
    """

    def __init__(self, kind: str, package: str, *, group: str | None = None) -> None:
        self.kind = kind
        self.package = package
        self.group = group or f"rosetta.{package.rpartition('.')[2]}"
        self._known: dict[str, T] = {}
        self._has_own = self._has_others = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds a plug-in under `name`."""

        def add(plug_in: T) -> T:
            if name in self._known:
                raise ValueError(f"there is a {self.kind} called {name!r} already")
            self._known[name] = plug_in
            return plug_in

        return add

    def get(self, name: str) -> T:
        """Return the plug-in called `name`, or raise UsageError with the nearest known names."""
        if name not in self:
            beginning = [each for each in sorted(self._known) if name and each.startswith(name)]
            near = difflib.get_close_matches(name, self._known, n=1) or beginning
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"no {self.kind} called {name!r}.{hint} Known: {', '.join(sorted(self))}.")
        return self._known[name]

    def own(self) -> Iterator[str]:
        """Yield the names of the built-in plug-ins, in order, without looking for those of others."""
        self._load_own()
        yield from sorted(self._known)

    def __contains__(self, name: object) -> bool:
        self._load_own()
        if name not in self._known:  # looking through what is installed takes time
            self._load_others()
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        self._load_own()
        self._load_others()
        return iter(self._known)

    def _load_own(self) -> None:
        if self._has_own:
            return
        self._has_own = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")

    def _load_others(self) -> None:
        if self._has_others:
            return
        self._has_others = True
        for point in entry_points(group=self.group):
            if point.name not in self._known:
                self._known[point.name] = point.load()
