import zlib

from vitric.boards.crc import crc32c
from vitric.compiler.compile import compile_model
from vitric.golden.integer.random import random_integer_vit
from vitric.golden.spec.accelerator import SPECS
from vitric.golden.spec.vit import VIT_CONFIGS


def test_crc32c():
    assert crc32c(b"123456789") == 0xE3069283  # the catalogue's check value of CRC-32/ISCSI
    assert crc32c(b"") == 0


def test_crc32c_tells_models_apart_where_crc32_cannot():
    """A model stream ends with its own CRC-32."""
    streams = [compile_model(random_integer_vit(VIT_CONFIGS["tiny"], seed=seed, spec=SPECS["tiny"]),
                             SPECS["tiny"]).stream.data for seed in (1, 2)]
    assert len({zlib.crc32(stream) for stream in streams}) == 1
    assert len({crc32c(stream) for stream in streams}) == 2
