"""What goes wrong through no fault of the program: the scripts print these in one line and exit with status 2."""


class AMSLError(ValueError):
    """A value, a file or a folder is not what was expected. The message says what was, what came and what to do."""


class DataError(AMSLError):
    """Sensor data cannot be used: a missing or malformed file, a wrong shape, a value that is not finite."""
