"""Life in the cluster: what happens to kurz there, one module for each kind of thing that does."""
