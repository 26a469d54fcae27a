"""Where the data of the training mixture and of the local evaluation sets come from, and how to get them."""
