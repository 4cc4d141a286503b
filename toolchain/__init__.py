"""The external tools: where they are, how they are run, and the parts and families of FPGAs that they build for."""
