"""What can go wrong with a request, in the terms of gRPC, which TF Serving's REST interface maps to HTTP."""

from grpc import StatusCode

from amsl_tf.errors import AMSLError

LONGEST = 1000  # characters of a message
HTTP = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.NOT_FOUND: 404,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
}


class ServingError(AMSLError):
    """A request that gets no answer but this one."""

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message[:LONGEST])  # it may repeat what the request says, and gRPC loses long ones
        self.code = code


def invalid(message: str) -> ServingError:
    """The request is at fault."""
    return ServingError(StatusCode.INVALID_ARGUMENT, message)
