"""What a person can put right. The command line prints the sentence and nothing else."""


class LaureateError(Exception):
    """One sentence that names the file, row or key, and what to do about it."""

    exit_code = 1


class ParameterError(LaureateError):
    """A parameter is wrong; the sentence names its dotted key."""

    exit_code = 2
