"""``python -m nineline`` is the command ``nineline``."""

from nineline.cli import main

main()
