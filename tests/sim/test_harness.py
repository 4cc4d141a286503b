"""The harness's files, hand-made; what it writes itself is compared in ``test_accelerator.py``."""

from dataclasses import replace

import numpy as np
from vitric.golden.spec.accelerator import SPECS
from vitric.sim.harness import model_lines, pixel_lines, table, tap_records, write_inputs

SPEC = replace(SPECS["tiny"], drain_cols=2)  # rows 2, tiles of 2 x 2 elements, residual columns of 2 x 16 bits


def test_last_is_above_the_highest_bit():
    assert model_lines([[1, 0xFFFFFFFF], [7]], SPEC) == ["1", "1ffffffff", "100000007"]
    assert pixel_lines([np.array([[0x12, 0xAB], [0, 1]], dtype=np.uint8)]) == ["0ab12", "10100"]


def test_inputs_are_counted(tmp_path):
    write_inputs(tmp_path, ["1", "2", "3"], ["a"], (16, 30, 1, 1, 0))
    assert (tmp_path / "settings.hex").read_text().split() == ["3", "1", "10", "1e", "1", "1", "0"]
    assert (tmp_path / "model.hex").read_text() == "1\n2\n3\n" and (tmp_path / "pixels.hex").read_text() == "a\n"


def test_tables_are_hexadecimal():
    assert table(b"0000000a 00ff\n00000001 0010\n", 2).tolist() == [[10, 255], [1, 16]]
    assert table(b"", 3).shape == (0, 3)


def test_records_are_read_to_the_byte():
    act = b"00000002 0003 00000011 " + b"4321" + b"\n" + b"00000002 0004 000000ff " + b"00f0" + b"\n"
    residual = b"00000001 0007 00000004 " + b"0004000300020001" + b"\n"
    act, residual = tap_records({"act": act, "residual": residual}, SPEC)
    assert act[["image", "command", "address"]].tolist() == [(2, 3, 17), (2, 4, 255)]
    assert act["data"][0].tolist()[:2] == [0x21, 0x43] and act["data"][1].tolist()[:2] == [0xF0, 0x00]
    assert residual[["image", "command", "address"]].tolist() == [(1, 7, 4), (1, 7, 5)]  # a record for each column
    assert residual["data"].tolist() == [[1, 0, 2, 0], [3, 0, 4, 0]]
    empty = tap_records({"act": b"", "residual": b""}, SPEC)
    assert [len(records) for records in empty] == [0, 0]
