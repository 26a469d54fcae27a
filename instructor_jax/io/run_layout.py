"""Names of what lies in the folder of a training run."""

CHECKPOINTS = "checkpoints"
MODEL = "model"  # the model's folder of a finished run
MODEL_SETTINGS = "model_settings"  # all of its model but the weights
TOKENIZER = "tokenizer"  # the one that a run made of its texts
