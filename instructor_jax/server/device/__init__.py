"""From token ids to vectors: the queue, the packing, and the one thread that feeds the device."""
