"""How long nineline takes, beside its peers: ``python -m benchmarks`` prints one table."""
