"""The one kind of error that is the user's to put right, and the one kind of warning."""

__all__ = ["ModelWarning", "UserError"]


class UserError(Exception):
    """Something the user can put right: bad argument, file, board or missing tool.

    The command line prints the message as one line and exits with status 2. The message names the thing, the
    offending value and the legal ones.
    """


class ModelWarning(UserWarning):
    """Something in a model or its data that was decided and that its owner should know; a command prints one line."""
