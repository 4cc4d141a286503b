from vitric.flow.page.contract import contract

from tests.flow.page.kit import found_in


def test_tables_name_every_tensor_and_command(tmp_path):
    found = found_in(tmp_path)
    tensors, commands = contract(found).parts
    assert [row[0] for row in tensors.rows] == list(found.golden[1]) and tensors.search and commands.search
    widths = {row[0]: row[3] for row in tensors.rows}
    assert (widths["input"], widths["blocks.0.attn.k"], widths["head"]) == ("8", "4, signed", "16, signed")
    assert len(commands.rows) == len(found.compiled.stream.commands())
    assert commands.rows[0][:3] == ("1", "input", "INPUT") and commands.rows[-1][2] == "END"
    assert all(len(row) == len(table.header) for table in (tensors, commands) for row in table.rows)
