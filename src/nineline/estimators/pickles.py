"""Pickles of estimators: for passing between processes of one version, refused by any other.

A pickle holds objects as they are inside, which changes from version to version; what is to last is `save`d.
"""

from __future__ import annotations

from typing import Any, Final

from nineline._version import __version__

_MARK: Final = "_nineline_version"


class Pickled:
    """Mixed into an estimator, in front of scikit-learn's classes."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), _MARK: __version__}  # type: ignore[dict-item]

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop(_MARK, None)
        if version != __version__:
            made = f"by nineline {version}" if version else "before nineline marked its pickles"
            raise PickleVersionError(
                f"this {type(self).__name__} was pickled {made}, and this is nineline {__version__}; a pickle does not "
                "outlive its version. Load it with the version that made it and call save(path), which any later one "
                "reads; or fit it again"
            )
        parent: Any = super()
        if hasattr(parent, "__setstate__"):
            parent.__setstate__(state)
        else:
            self.__dict__.update(state)


class PickleVersionError(ValueError):
    """A pickle was made by another version of nineline."""
