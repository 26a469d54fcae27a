"""The names of what distillation leaves in a run's folder."""

START = "start"  # folder of the model that the run starts from
AXES = "teacher_axes.npy"  # principal axes of the teacher's vectors
