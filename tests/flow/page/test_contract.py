import pytest
from vitric.flow.page.contract import _codes, contract

from tests.flow.page.kit import found_in


@pytest.mark.parametrize("name", ["tiny", "digits"])
def test_every_value_of_a_trace_is_a_code_of_its_tensor(name, tmp_path):
    found = found_in(tmp_path, name)
    formats = {}
    for tensor, values in found.golden[1].items():
        low, high, zero = formats[tensor] = _codes(found.model, tensor)
        assert low <= int(values.min()) and int(values.max()) <= high and (zero is None or low <= zero <= high), tensor
    assert formats["blocks.0.attn.k"][:2] == (-7, 7) and formats["blocks.0.norm1"][:2] == (0, 15)
    assert formats["norm"][:2] == (0, 255) and formats["blocks.0.attn.softmax"] == (0, 255, 0)
    query = found.model.blocks[0].attn.q.requantizer
    assert formats["blocks.0.attn.q"] == (query.low, query.high, query.zero_point)


def test_tables_name_every_tensor_and_command(tmp_path):
    found = found_in(tmp_path)
    tensors, commands = contract(found).parts
    assert [row[0] for row in tensors.rows] == list(found.golden[1]) and tensors.search and commands.search
    widths = {row[0]: row[3] for row in tensors.rows}
    assert (widths["input"], widths["blocks.0.attn.k"], widths["head"]) == ("8", "4, signed", "16, signed")
    assert len(commands.rows) == len(found.compiled.stream.commands())
    assert commands.rows[0][:3] == ("1", "input", "INPUT") and commands.rows[-1][2] == "END"
    assert all(len(row) == len(table.header) for table in (tensors, commands) for row in table.rows)
