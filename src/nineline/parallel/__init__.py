"""Several processes: a collective, over what the user's cluster already runs."""

from nineline.parallel.contract import Alone, Collective, ParallelError
from nineline.parallel.mpi import MPICollective, collective_of, launched
from nineline.parallel.xgboost import XGBoostCollective, XGBoostTracker

__all__ = [
    "Alone",
    "Collective",
    "MPICollective",
    "ParallelError",
    "XGBoostCollective",
    "XGBoostTracker",
    "collective_of",
    "launched",
]
