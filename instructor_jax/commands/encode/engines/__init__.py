"""Many processes for one job: shares that a scheduler starts, and the workers of a Ray cluster."""
