"""The model of a run as a folder: from the weights of a running one, or from a checkpoint."""
