"""Source of ``timing_sdram_pages.svg``: ``python -m docs.diagrams.timing_sdram_pages`` writes it again."""

from docs.diagrams.commands import Commands

__all__ = ["commands"]


def commands() -> Commands:
    """Return the picture of a read over three pages of four lines."""
    return Commands("A read: the page that follows is opened behind the bursts", [
        {"write": 0, "address": 1, "data": 9}], cycles=48)


if __name__ == "__main__":
    commands().write(__file__)
