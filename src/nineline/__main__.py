"""``python -m nineline`` is the command ``nineline``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is loading is no mistake of anybody's."""
    try:
        from nineline.cli import main as run

        run()
    except KeyboardInterrupt:
        print("nineline: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
