"""Objects that are their settings: an activation, a loss, a rule."""

from __future__ import annotations

from typing import ClassVar

from nineline import _checks


class Value:
    """Fixed once made, equal to another where the settings are equal, and printed as it is made.

    What `dataclass` would generate for each of some forty classes at import is written here once, for the sake
    of the time that `import nineline` takes; subclasses with settings are dataclasses for their constructor.
    Names that begin with an underscore are free.
    """

    name: ClassVar[str] = ""
    """What this kind is called where it is named; one of your own has no name."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def __setattr__(self, name: str, value: object) -> None:
        settings = self.__dict__
        if name in settings and not name.startswith("_"):
            raise AttributeError(f"{name} is fixed once made; make a new {type(self).__name__}")
        settings[name] = value

    def check_number(self, name: str, **bounds: float | bool) -> None:
        """Make sure that a setting is a number within `bounds` (see `_checks.number`), and a plain float."""
        vars(self)[name] = _checks.number(name, vars(self)[name], **bounds)  # type: ignore[arg-type]
