from vitric.golden.cpu import float_arithmetic


def test_variables_are_part_of_it(monkeypatch):
    here = float_arithmetic.__wrapped__()
    assert here == float_arithmetic.__wrapped__()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert float_arithmetic.__wrapped__() != here
