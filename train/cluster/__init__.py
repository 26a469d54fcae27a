"""Who the processes of a run are, as schedulers, launchers and TPU slices tell it."""
