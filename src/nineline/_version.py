"""The version of nineline; pyproject.toml has the same."""

from typing import Final

__version__: Final = "0.1.0"
