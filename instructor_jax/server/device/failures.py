"""Why a text got no vector although its request was right: the device failed on it, or nobody awaits it any more."""


class DeviceFailure(Exception):
    """The device could not compute a text, not even by itself.

    Args:
        index: Index of the text in its request.
        cause: What the device said.
    """

    def __init__(self, index: int, cause: BaseException) -> None:
        super().__init__(f"the device failed on text {index} ({type(cause).__name__})")
        self.cause = cause


class BrokenVector(Exception):
    """The vector of a text is not made of numbers.

    Args:
        index: Index of the text in its request; None where it is one of them.
    """

    def __init__(self, index: int | None = None) -> None:
        super().__init__(
            f"the vector of {'one of the texts' if index is None else f'text {index}'} is not finite (NaN or "
            "infinity): the model's weights are broken, or its activations overflow"
        )


class ClientGone(Exception):
    """The client closed its connection before the answer was there."""
