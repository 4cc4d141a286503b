"""The register map as a C header."""

from collections.abc import Sequence

from vitric.golden.spec.command import ErrorCode

from .registers import ACCESS, ID, MAP_VERSION, REGISTERS, Register

__all__ = ["c_header"]


def _define(name: str, value: str, comment: str = "") -> str:
    line = f"#define {name} {value}"
    return f"{line:<56}/* {comment} */" if comment else line


def c_header(registers: Sequence[Register] = REGISTERS) -> str:
    """Return a C99 header without dependencies: offsets of registers, shift and mask of fields, numbers of errors.

    ``VITRIC_STATE`` is an offset in bytes, ``VITRIC_STATE_DONE_SHIFT`` the place of a field, ``VITRIC_STATE_DONE_MASK``
    its bits in the word, ``VITRIC_ERROR_BAD_CRC`` a value of ``result.error``.
    """
    lines = [
        "/* Registers of a vitric accelerator; written by `vitric generate --wrapper axis`. */",
        "#ifndef VITRIC_REGISTERS_H", "#define VITRIC_REGISTERS_H", "",
        _define("VITRIC_ID_VALUE", f"0x{ID:08x}u"), _define("VITRIC_MAP_VERSION_VALUE", f"{MAP_VERSION}u"),
    ]
    for register in registers:
        name = f"VITRIC_{register.name.upper()}"
        lines += ["", _define(name, f"0x{register.address:02x}u", register.summary)]
        for field in register.fields:
            if field.name != register.name:
                part = f"{name}_{field.name.upper()}"
                lines += [
                    _define(f"{part}_SHIFT", f"{field.low}u", f"{ACCESS[field.access]}: {field.summary}"),
                    _define(f"{part}_MASK", f"0x{field.mask:08x}u"),
                ]
    lines += ["", *(_define(f"VITRIC_ERROR_{code.name}", f"{int(code)}u") for code in ErrorCode), "", "#endif", ""]
    return "\n".join(lines)
