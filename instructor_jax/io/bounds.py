"""How much input is read before it is refused, so that no file can fill the memory; each number with its reason.

Every bound is far above what real files need and far below what a small machine has.
"""

MIB = 1 << 20

# A configuration file of a published model has a few kilobytes; modules.json and prompts with thousands of entries stay
# below one megabyte.
SETTINGS_BYTES = 16 * MIB

# mT5's tokenizer.json (250,112 pieces) has 16 MB; the largest published vocabularies (262,144 pieces with merges) have
# 40 MB.
TOKENIZER_BYTES = 256 * MIB

# An index of shards has about 100 bytes a tensor; the largest T5 (xxl, 24 layers) has 558 tensors.
INDEX_BYTES = 64 * MIB

# One line of text. The longest books have 10 MB; a model reads at most some thousand tokens of them.
LINE_BYTES = 128 * MIB

# Levels of objects and lists within each other. Published files have at most eight; Python's own parser gives up at
# about a thousand, at a depth that differs between versions.
JSON_DEPTH = 64

# The pickle of a state dict needs about 200 bytes a tensor; 16 MiB hold 80,000 tensors, and interpreting a byte takes
# up to 85 bytes of memory.
PICKLE_BYTES = 16 * MIB

# Layers of an encoder; the deepest published T5 (byt5-large, byt5-xxl) has 36.
LAYERS = 1024

# Any other size in a configuration: the largest published one is a vocabulary of 262,144; a width or a vocabulary of
# more than 2**24 belongs to no model that fits a machine.
SIZE = 1 << 24

# Characters of a message. A name of a tensor or file that is longer than this says nothing to anybody.
MESSAGE_CHARACTERS = 1000
