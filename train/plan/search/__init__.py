"""Which of many plans to take: what is chosen where a user leaves it open, and the best mesh and largest batch."""
