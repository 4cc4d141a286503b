"""Where the program ``vitric`` begins: nothing is imported before Ctrl-C is looked after."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and end the process with its status."""
    try:
        from .cli import app

        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")  # for terminals that cannot show every character
        app()
    except KeyboardInterrupt:
        sys.stderr.write("vitric: interrupted\n")
        sys.exit(130)
