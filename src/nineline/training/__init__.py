"""Training: a Trainer that lives and takes steps, and the loop of `Network.train` around one."""
