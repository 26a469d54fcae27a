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

# An index of shards and the header of a safetensors file have about 100 bytes a tensor; the largest T5 (xxl, 24 layers)
# has 558 tensors. Parsing takes up to 22 bytes of memory for a byte of JSON.
INDEX_BYTES = 8 * MIB

# Files that one index may spread its weights over; each one stays open, and a process may open 1,024.
SHARDS = 512

# Axes of a weight, and elements along one of them; T5 has two axes, and NumPy counts elements in 63 bits.
AXES = 32
AXIS = 1 << 40

# One line of text, or one record of a table. The longest books have 10 MB; a model reads at most some thousand tokens
# of them. A line of JSON takes up to 22 times its length in memory, one of CSV 5 times.
LINE_BYTES = 32 * MIB

# Columns of a table; spreadsheets allow 16,384.
COLUMNS = 1 << 14

# Characters of the texts of one part of `encode`, four of which are held at the same time: 8,192 texts of three pages.
PART_CHARACTERS = 64 * MIB

# Characters of texts that are read whole: pairs to compare, queries.
TEXTS_CHARACTERS = 256 * MIB

# Rows that are held at the same time, and rows of one part; the vectors of a million rows have 3 GB.
ROWS = 1 << 20

# Hits of a search: queries times the rows found for each.
HITS = 1 << 22

# A file that is read whole, decompressed: the largest task file of Super-NaturalInstructions has 40 MB.
DOCUMENT_BYTES = 512 * MIB

# Levels of objects and lists within each other. Published files have at most eight; Python's own parser gives up at
# about a thousand, at a depth that differs between versions.
JSON_DEPTH = 64

# The pickle of a state dict needs about 200 bytes and 35 opcodes a tensor: room for 15,000 tensors. An opcode can leave
# up to 200 bytes behind it (a dictionary that the memo keeps), whatever its own length is.
PICKLE_BYTES = 16 * MIB
PICKLE_OPCODES = 1 << 19

# A name in a pickle, in bytes. PyTorch's longest are below 200.
PICKLE_TEXT_BYTES = 4096

# The list of records at the end of a zip archive has about 110 bytes a record, which become 700 bytes of memory.
ARCHIVE_LIST_BYTES = 2 * MIB

# Entries of the tree in a msgpack file of Flax or T5X, and levels of it: xxl with its optimizer has 2,500 and 12.
TREE_ENTRIES = 1 << 18
TREE_DEPTH = 64

# Layers of an encoder; the deepest published T5 (byt5-large, byt5-xxl) has 36.
LAYERS = 1024

# Any other size in a configuration: the largest published one is a vocabulary of 262,144; a width or a vocabulary of
# more than 2**24 belongs to no model that fits a machine.
SIZE = 1 << 24
