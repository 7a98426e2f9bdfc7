"""Errors of requests: status codes of gRPC, which TF Serving's REST interface maps to HTTP."""

from grpc import StatusCode

from amsl_tf.errors import AMSLError

MAX_MESSAGE = 1000  # characters
HTTP = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.NOT_FOUND: 404,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
}


class ServingError(AMSLError):
    """An error that ends a request, with the status code of the response.

    Args:
        code: The gRPC status code, which `HTTP` maps to an HTTP status.
        message: The message, cut off after `MAX_MESSAGE` characters.
    """

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message[:MAX_MESSAGE])  # it may quote the request, and gRPC drops long messages
        self.code = code


def invalid(message: str) -> ServingError:
    """Returns the error for an invalid request."""
    return ServingError(StatusCode.INVALID_ARGUMENT, message)


def too_many(limit: int) -> ServingError:
    """Returns the error for a request beyond the limit on those that run or wait."""
    return ServingError(StatusCode.RESOURCE_EXHAUSTED, f"{limit} requests are running or waiting. Try again later.")
