"""`python -m instructor_jax VERB` is `instructor-jax VERB`."""

from instructor_jax.cli import main

if __name__ == "__main__":
    main()
