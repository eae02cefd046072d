"""Tables: files of them, what their columns hold, and what becomes of both as numbers.

`files` reads and writes them as a whole, `sources` and `sinks` piece by piece; `series` is the values of a column
whatever holds them, `kinds` how the values of each kind of column become numbers, `inference` of which kind a column
is, `columns` a whole table, `targets` what is predicted. Nothing here knows of networks.
"""

from nineline.tables.files import read_table, read_tables, text_columns, write_table
from nineline.tables.formats import MISSING, PACKINGS, STANDARD_INPUT, TableError, check_ending
from nineline.tables.tidying import tidy

__all__ = [
    "MISSING",
    "PACKINGS",
    "STANDARD_INPUT",
    "TableError",
    "check_ending",
    "read_table",
    "read_tables",
    "text_columns",
    "tidy",
    "write_table",
]
