"""Source of ``timing_sdram_refresh.svg``: ``python -m docs.diagrams.timing_sdram_refresh`` writes it again."""

from docs.diagrams.commands import Commands

__all__ = ["commands"]


def commands() -> Commands:
    """Return the picture of a refresh in the middle of a read, with two writes that waited for it."""
    requests = [{"write": 0, "address": 0, "data": 60}, {"write": 1, "address": 100, "data": 1},
                {"write": 1, "address": 101, "data": 2}]
    return Commands("A refresh in the middle of a read, and two writes behind it", requests, start=100, cycles=48)


if __name__ == "__main__":
    commands().write(__file__)
