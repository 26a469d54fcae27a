"""How a call of the fused kernels is cut into programs, and how much on-chip memory a program takes."""

import dataclasses

BLOCK = 128  # queries computed at once: the lanes of a vector register
_BUFFERED = 2  # what comes in and goes out is held twice, so that copies overlap the computation
_SCORES = 6  # arrays of [keys, BLOCK] float32 alive at once in the backward kernel


@dataclasses.dataclass(frozen=True)
class KernelPlan:
    """Static description of one call on one device; a program computes one head of some rows.

    Attributes:
        length: tokens of a row, before padding to whole blocks.
        program_rows: rows of a program, one after the other.
        dropout: rate at which attention weights are dropped; 0 for inference.
        interpret: run as ordinary XLA operations, on devices that are no TPU.
        softcap: what products of queries and keys are kept below, by softcap tanh(x / softcap); 0 for no bound.
    """

    length: int
    program_rows: int
    dropout: float = 0.0
    interpret: bool = False
    softcap: float = 0.0

    @property
    def padded(self) -> int:
        """Tokens of a row in whole blocks."""
        return padded_length(self.length)

    @property
    def blocks(self) -> int:
        """Blocks of queries, and of keys, in a row."""
        return self.padded // BLOCK

    @property
    def bias_rows(self) -> int:
        """Rows of a head's spread bias, which holds every (key block, query block) tile once."""
        return (2 * self.blocks - 1) * BLOCK


def padded_length(length: int) -> int:
    """The next whole number of blocks."""
    return -(-length // BLOCK) * BLOCK


def vmem_bytes(plan: KernelPlan, head_dim: int, itemsize: int) -> int:
    """On-chip memory of a program of the backward kernel, the larger of the two."""
    state = -(-head_dim // 16) * 16 * plan.padded  # numbers of a row's query, key, value, or of a gradient
    moved = 7 * _BUFFERED * plan.program_rows * state * itemsize  # q, k, v and their gradients, do
    bias = 2 * plan.bias_rows * BLOCK * 4  # the spread bias and its gradient
    scores = _SCORES + bool(plan.softcap)  # the products, whose slope is needed
    return moved + 2 * state * 4 + bias + scores * plan.padded * BLOCK * 4
