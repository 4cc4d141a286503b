"""docs/model-stream.md against the format that it describes."""

import re
from pathlib import Path

import pytest
from vitric.compiler.compile import compile_model
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.command import (
    COMMAND_FIELDS,
    HEADER_FIELDS,
    SIGNED_FIELDS,
    VERSION,
    ErrorCode,
    Flag,
    Opcode,
    Target,
)
from vitric.golden.spec.vit import VIT_CONFIGS

PAGE = (Path(__file__).parents[2] / "docs" / "model-stream.md").read_text(encoding="utf-8")


def table(heading):
    """The rows (first cell, second cell without backquotes, third) of the table with this heading."""
    body = PAGE.split(f"{heading}\n|---|---|---|\n")
    assert len(body) >= 2, heading
    return [[re.findall(r"\|\s*(.*?)\s*(?=\|)", line) for line in part.split("\n\n")[0].splitlines()]
            for part in body[1:]]


def test_every_field_stands_at_its_byte():
    header, command = table("| byte | field | meaning |")
    for rows, names in ((header, HEADER_FIELDS), (command, COMMAND_FIELDS)):
        assert [(int(row[0]), row[1].strip("`")) for row in rows] == [(2 * n, name) for n, name in enumerate(names)]
    assert {row[1].strip("`") for row in command if row[2].startswith("s,")} == SIGNED_FIELDS


@pytest.mark.parametrize("heading,numbers", [
    ("| code | opcode | what it does |", Opcode), ("| code | target | where the result goes |", Target),
    ("| code | error | when |", ErrorCode),
])
def test_every_code(heading, numbers):
    assert [(int(row[0]), row[1].strip("`")) for row in table(heading)[0]] == [(n.value, n.name) for n in numbers]


def test_every_flag():
    assert [(1 << int(row[0]), row[1].strip("`")) for row in table("| bit | flag | meaning |")[0]] == [
        (flag.value, flag.name) for flag in Flag]


@pytest.mark.parametrize("name", ["tiny", "digits"])
def test_the_reader_on_the_page_reads(name):
    spec = SPECS[name]
    stream = compile_model(random_integer_vit(VIT_CONFIGS[name], seed=1, spec=spec), spec).stream
    scope = {}
    exec(PAGE.split("```python\n")[1].split("```")[0], scope)
    arguments = {"model_bits": spec.model_bits, "cols": spec.cols, "depth": spec.depth, "rows": spec.rows,
                 "w_bits": spec.w_bits}
    fields = [tuple(c.fields[field] & 0xFFFF for field in COMMAND_FIELDS) for c in stream.commands()]
    assert scope["read"](stream.data, **arguments) == fields
    assert VERSION == 4
    damaged = bytearray(stream.data)
    damaged[len(damaged) // 2] ^= 4
    with pytest.raises(AssertionError, match="damaged"):
        scope["read"](bytes(damaged), **arguments)
