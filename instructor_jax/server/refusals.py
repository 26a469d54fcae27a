"""What a request is refused with: one exception, and the shape in which each family of clients reads an error.

OpenAI's clients choose the exception by the status and read `error.message`; those of Text Embeddings Inference (TEI)
read `error` and `error_type`; Cohere's read `message`.
"""

from typing import Any, Literal

from instructor_jax.io.printable import one_line

Dialect = Literal["openai", "tei", "cohere"]

# Which kind of error each status is, in OpenAI's words and in TEI's.
_KINDS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "validation"),
    401: ("authentication_error", "unauthorized"),
    404: ("invalid_request_error", "not_found"),
    405: ("invalid_request_error", "validation"),
    408: ("timeout_error", "validation"),
    413: ("invalid_request_error", "validation"),
    415: ("invalid_request_error", "validation"),
    422: ("invalid_request_error", "validation"),
    429: ("rate_limit_error", "overloaded"),
    500: ("server_error", "backend"),
    503: ("server_error", "unhealthy"),
}

EMPTY = "empty_input"  # code of a request without texts


class Refusal(Exception):
    """A request that is not answered with vectors.

    Args:
        status: HTTP status.
        message: What is wrong, the rule, and what to do; one line.
        param: Name of the field that is wrong, where it is one.
        code: OpenAI's machine-readable word, such as "model_not_found".
        retry_after: Seconds after which a client may try again, for 429 and 503.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message = status, one_line(message, 1000)
        self.param, self.code, self.retry_after = param, code, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        headers = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.status == 408:
            headers["connection"] = "close"  # whoever sends that slowly need not keep it
        return headers


def dialect_of(path: str) -> Dialect:
    """Returns whose clients call this path."""
    if path.startswith("/v2/"):
        return "cohere"
    if path.startswith(("/v1/", "/models")) or path == "/embeddings":
        return "openai"
    return "tei"


def in_dialect(refusal: Refusal, dialect: Dialect) -> Refusal:
    """Returns a refusal with the status that its clients know: TEI answers 422 to whatever has a wrong value."""
    if dialect == "tei" and refusal.status == 400 and refusal.code != EMPTY:
        refusal.status = 422
    return refusal


def error_body(refusal: Refusal, dialect: Dialect) -> dict[str, Any]:
    """Returns the body of the answer as its clients read it."""
    openai, tei = _KINDS.get(refusal.status, ("server_error", "backend"))
    if dialect == "cohere":
        return {"message": refusal.message}
    if dialect == "tei":
        return {"error": refusal.message, "error_type": "empty" if refusal.code == EMPTY else tei}
    error = {"message": refusal.message, "type": openai, "param": refusal.param, "code": refusal.code}
    return {"error": error}
