"""Giving a model to others: its card where it has none, and its upload to the Hugging Face hub."""
