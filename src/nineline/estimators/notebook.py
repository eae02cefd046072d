"""How estimators show themselves in a notebook: their settings, and when they are fitted, what came of it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from sklearn import get_config
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted


class Shown:
    """Mixed into an estimator, in front of scikit-learn's classes. Nothing of it is a script."""

    @abstractmethod
    def _show(self) -> str:
        """Return a fitted estimator as HTML."""

    def _repr_html_(self) -> str | None:
        """Return the estimator as a notebook shows it; None where scikit-learn is told to print text."""
        if get_config()["display"] != "diagram":
            return None
        from nineline.view.notebook import shown

        try:
            check_is_fitted(self)
        except NotFittedError:
            return shown(repr(self))
        return self._show()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return the same beside the text."""
        html = self._repr_html_()
        return {"text/plain": repr(self)} | ({} if html is None else {"text/html": html})
