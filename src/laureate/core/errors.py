"""Errors that a user can fix: the command line prints their sentence without a traceback."""


class LaureateError(Exception):
    """One sentence that names the file, row or key, and says what to do."""

    exit_code = 1


class ParameterError(LaureateError):
    """A parameter is wrong; the sentence names its dotted key."""

    exit_code = 2
