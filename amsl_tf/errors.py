"""Errors that users can fix. Commands print them in one line and exit with status 2."""


class AMSLError(ValueError):
    """An unexpected value, file or folder. The message says what was expected, what was received and what to do."""


class StorageError(AMSLError):
    """A place that cannot be written, such as a full disk."""


class DataError(AMSLError):
    """Unusable sensor data: a missing or malformed file, a wrong shape, a value that is not finite."""
