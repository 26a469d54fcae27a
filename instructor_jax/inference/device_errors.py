"""What JAX raises while it computes, in the words of this library."""

import jax

_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory", "bad_alloc", "Failed to allocate")

TRACED = (
    "encode was called inside a function that JAX traces (jax.jit, vmap or grad): it reads strings and returns NumPy "
    "arrays. Call it outside and pass the vectors in, or use instructor_jax.nn.model.embed, a pure function of "
    "parameters and token batches."
)

# What `run_calls` hands to `explained`. FloatingPointError comes from jax_debug_nans.
RAISED = (
    jax.errors.JaxRuntimeError,
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    FloatingPointError,
)


def explained(error: Exception, tokens: int) -> Exception:
    """The error that a user should see in the place of JAX's.

    Args:
        error: one of `RAISED`.
        tokens: size of the device call that failed.

    Returns:
        MemoryError where the device's memory is too small, ValueError for a NaN that JAX found and inside a function
        that JAX transforms, otherwise the error itself.
    """
    if isinstance(error, FloatingPointError):
        return ValueError(
            f"a number is not finite: the model's weights are broken, or its activations overflow ({error})."
        )
    if not isinstance(error, jax.errors.JaxRuntimeError):
        return ValueError(TRACED)
    reason = str(error)
    if any(sign in reason for sign in _OUT_OF_MEMORY):
        return MemoryError(
            f"the device has too little memory for a call of {tokens} tokens: load the model with a smaller "
            "tokens_per_call (or dtype='bfloat16'), or encode with a smaller batch_size, or a smaller max_length where "
            f"texts are long. JAX says: {reason.splitlines()[0][:200]}"
        )
    return error
