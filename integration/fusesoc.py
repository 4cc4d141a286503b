"""Generated Verilog as a core of FuseSoC."""

from collections.abc import Sequence
from importlib.metadata import version

__all__ = ["core_file"]


def core_file(name: str, title: str, *, verilog: str, testbench: bool = False, data: Sequence[str] = ()) -> str:
    """Return a core description (CAPI2): the core ``vitric:generated:NAME``.

    Targets: ``default`` gives the Verilog to other cores; ``lint`` lets Verilator read it; with a testbench
    ``NAME_tb.sv``, ``sim`` builds that and runs it.

    Parameters
    ----------
    name : str
        Of the Verilog module.
    title : str
        One line that says what it is.
    verilog : str
        The file with the module, beside the description.
    testbench : bool
        There is ``NAME_tb.sv``.
    data : sequence of str
        Files that it reads when it runs.
    """
    lines = [
        "CAPI=2:", f"name: vitric:generated:{name}:{version('vitric')}", f'description: "{title}"', "",
        "filesets:", "  rtl:", f"    files: [{verilog}]", "    file_type: verilogSource",
    ]
    if testbench:
        files = [f"{name}_tb.sv: {{file_type: systemVerilogSource}}", *(f"{one}: {{file_type: user, copyto: {one}}}"
                                                                        for one in data)]
        lines += ["  tb:", "    files:", *(f"      - {one}" for one in files)]
    lines += [
        "", "targets:",
        "  default: &default", "    filesets: [rtl]", f"    toplevel: {name}",
        "  lint:", "    <<: *default", "    flow: lint",
        "    flow_options: {tool: verilator, verilator_options: [-Wno-fatal, -Wno-lint]}",
    ]
    if testbench:
        lines += [
            "  sim:", "    filesets: [rtl, tb]", f"    toplevel: {name}_tb", "    flow: sim",
            "    flow_options:", "      tool: verilator", "      mode: binary",
            "      verilator_options: [--timing, -Wno-fatal, -Wno-lint, -CFLAGS, -std=gnu++20]",
        ]
    return "\n".join([*lines, ""])
