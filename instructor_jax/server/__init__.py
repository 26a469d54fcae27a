"""`instructor-jax serve`: an embeddings server that the clients of OpenAI, TEI and Cohere talk to."""
