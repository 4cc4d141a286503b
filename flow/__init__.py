"""The command line `vitric` and its named steps."""
