"""The register map, its C header, and what a project with vitric inside may rely on."""

import shutil
import subprocess

import pytest
from vitric.golden.spec.command import ErrorCode
from vitric.integration.c_header import c_header
from vitric.integration.registers import ACCESS, ID, MAP_VERSION, REGISTERS, Field, Register, register


def test_addresses_are_what_they_were():
    """Software is built on them: a change is a new MAP_VERSION."""
    assert MAP_VERSION == 1
    assert {one.name: one.address for one in REGISTERS} == {
        "id": 0x00, "map_version": 0x04, "spec_hash": 0x08, "ports": 0x0C, "control": 0x10, "state": 0x14,
        "result": 0x18, "cycles": 0x1C, "inferences": 0x20, "class": 0x24, "model_crc": 0x28,
    }
    places = {(one.name, field.name): (field.low, field.bits, field.access) for one in REGISTERS
              for field in one.fields if field.bits < 32}
    assert places == {
        ("ports", "model_bytes"): (0, 8, "ro"), ("ports", "image_bytes"): (8, 8, "ro"),
        ("ports", "logit_bits"): (16, 8, "ro"), ("control", "start"): (0, 1, "w1"), ("control", "auto"): (1, 1, "rw"),
        ("control", "irq_enable"): (2, 1, "rw"), ("control", "abort"): (3, 1, "w1"),
        ("control", "restart"): (4, 1, "w1"), ("state", "busy"): (0, 1, "ro"), ("state", "armed"): (1, 1, "ro"),
        ("state", "done"): (2, 1, "w1c"), ("result", "error"): (0, 8, "ro"), ("result", "command"): (16, 16, "ro"),
        ("class", "label"): (0, 16, "ro"), ("class", "count"): (16, 16, "ro"),
    }
    assert register("control").writable and not register("cycles").writable
    with pytest.raises(ValueError, match="register must be one of 'id', 'map_version', .*, not 'clock'"):
        register("clock")


def field(**changes):
    return Field(**{"name": "a", "low": 0, "bits": 4, "access": "rw", "summary": ""} | changes)


@pytest.mark.parametrize(("change", "message"), [
    ({"low": 32}, "low must be between 0 and 31, not 32"), ({"low": 30}, "bits must be between 1 and 2, not 4"),
    ({"access": "wo"}, f"access must be one of {', '.join(map(repr, ACCESS))}, not 'wo'"),
    ({"reset": 16}, "reset must be between 0 and 15, not 16"),
])
def test_illegal_fields(change, message):
    with pytest.raises(ValueError, match=message):
        field(**change)


def test_illegal_registers():
    with pytest.raises(ValueError, match="register b must have an address that is a multiple of 4"):
        Register(name="b", address=2, summary="")
    with pytest.raises(ValueError, match="register b must have .* fields that do not overlap"):
        Register(name="b", address=4, summary="", fields=(field(), field(name="c", low=3)))
    with pytest.raises(ValueError, match="address must be between 0 and 4092, not 4096"):
        Register(name="b", address=4096, summary="")


def test_the_header_says_the_same_to_a_compiler(tmp_path):
    (tmp_path / "registers.h").write_text(c_header())
    checks = [f"VITRIC_ID_VALUE == {ID}u", f"VITRIC_ERROR_BAD_CRC == {int(ErrorCode.BAD_CRC)}u"]
    for one in REGISTERS:
        name = f"VITRIC_{one.name.upper()}"
        checks.append(f"{name} == {one.address}u")
        checks += [f"{name}_{part.name.upper()}_MASK >> {name}_{part.name.upper()}_SHIFT == {(1 << part.bits) - 1}u"
                   for part in one.fields if part.name != one.name]
    text = "\n".join(f'_Static_assert({check}, "{number}");' for number, check in enumerate(checks))
    (tmp_path / "check.c").write_text(f'#include "registers.h"\n#include "registers.h"\n{text}\n')
    compiler = next(name for name in ("gcc", "cc", "clang") if shutil.which(name))
    made = subprocess.run([compiler, "-std=c11", "-Wall", "-Werror", "-c", "check.c"], cwd=tmp_path,
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
