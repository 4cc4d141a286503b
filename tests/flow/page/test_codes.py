import pytest
from vitric.flow.page.codes import codes_of

from tests.flow.page.kit import found_in


@pytest.mark.parametrize("name", ["tiny", "digits"])
def test_every_value_of_a_trace_is_a_code_of_its_tensor(name, tmp_path):
    found = found_in(tmp_path, name)
    formats = {}
    for tensor, values in found.golden[1].items():
        low, high, zero = formats[tensor] = codes_of(found.model, tensor)
        assert low <= int(values.min()) and int(values.max()) <= high and (zero is None or low <= zero <= high), tensor
    assert formats["blocks.0.attn.k"][:2] == (-7, 7) and formats["blocks.0.norm1"][:2] == (0, 15)
    assert formats["norm"][:2] == (0, 255) and formats["blocks.0.attn.softmax"] == (0, 255, 0)
    query = found.model.blocks[0].attn.q.requantizer
    assert formats["blocks.0.attn.q"] == (query.low, query.high, query.zero_point)
