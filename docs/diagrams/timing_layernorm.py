"""Source of ``timing_layernorm.svg``: ``python -m docs.diagrams.timing_layernorm`` writes it again."""

from vitric.golden.spec.layernorm import LayerNormSpec
from vitric.hdl.layernorm import LayerNorm

from docs.diagrams.timing import Timing

__all__ = ["timing"]

SPEC = LayerNormSpec(lanes=1, max_length=8)
GROUPS = (100, -40, 7, 255), (-3, 5, 1)
CODES_PER_UNIT, MIDDLE = (40, 30, 50, 25), 128


def timing() -> Timing:
    """Return the timing diagram of one lane with two short rows."""
    t = Timing(LayerNorm(SPEC), "LayerNorm, 1 lane; gamma and beta in codes")
    rows, affine, beside = [], [], {}
    for group in GROUPS:
        rows += [{"x": [x], "last": k == len(group) - 1} for k, x in enumerate(group)]
        constants = SPEC.row_constants(len(group))
        beside[len(rows) - 1] = {"row": {name: getattr(constants, name) for name in ("inverse", "norm", "exponent")}}
        affine += [{"gamma": CODES_PER_UNIT[k] << SPEC.gamma_fraction, "beta": MIDDLE << SPEC.beta_fraction}
                   for k in range(len(group))]
    lengths = [len(group) for group in GROUPS]
    t.send("i", rows, fields=dict.fromkeys(("x", "last")), lengths=lengths, idle={0: 1}, beside=beside)
    t.send("affine", affine, lengths=lengths, idle={6: 4}, fields={
        "gamma": lambda gamma: f"{gamma / (1 << SPEC.gamma_fraction):g}",
        "beta": lambda beta: f"{beta / (1 << SPEC.beta_fraction):g}",
    })
    t.receive("o", fields=dict.fromkeys(("code", "last")), lengths=lengths, stalls=(60, 61))
    t.span("pause", ("i", 4, "valid"), ("i", 4, "taken"))
    t.span("latency", ("i", 3, "taken"), ("o", 0, "valid"))
    t.run(76)
    return t


if __name__ == "__main__":
    timing().write(__file__)
