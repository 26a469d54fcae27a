"""An output of `encode` in a store: what is there, the parts that are made for it, how they become the output."""
