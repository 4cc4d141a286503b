"""The catalogue of units: for each of them what it is called, what it is made of, what proves it, at which sizes.

Everything that goes through all units reads it: ``vitric synth``, ``generate`` and ``mutate``, the tests on netlists
(``tests/sim/test_netlist.py``), the proofs (:mod:`vitric.formal.catalogue`), the figures (``bench/units.py``) and the
pages. Modules are named, not imported, so that the catalogue costs nothing and needs none of them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib import import_module
from typing import get_type_hints

from .fabric import FABRICS

__all__ = ["UNITS", "Unit"]


def _member(path: str):
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One unit of ``hdl/`` by its name in commands.

    Its page is ``docs/units/NAME.md``, with the pictures ``NAME`` and ``timing_NAME``.

    Attributes
    ----------
    name, title, summary : str
        Name in commands; name for people; what the unit is, in a few words.
    spec, component, golden : str
        ``module:member``: the frozen dataclass that holds the parameters; the hardware; the function that says what it
        computes.
    bench : str
        Module with the cocotb tests; it is told the parameters by :func:`vitric.sim.parameters.environment`.
    defaults : mapping of str to value
        Values of parameters that the spec wants to be given, or that are a better start than the spec's own.
    derived : mapping of str to function
        Default of a parameter as a function of the parameters that are known.
    fabrics : tuple of str
        Those of :data:`~vitric.hdl.fabric.FABRICS` that the component has hardware for; if there is a choice, it takes
        one of them as ``fabric``.
    component_defaults : mapping of str to value
        Parameters of the component that are not in the spec, with their defaults.
    fine : mapping of str to value
        Parameters at which faults are planted: fine enough for a bench to see what the lowest bits do.
    small : mapping of str to mapping
        By name, parameters at which the unit is synthesized in seconds, and its netlist put on the bench.
    proved : mapping of str to mapping
        By name, parameters small enough for proofs.
    """

    name: str
    title: str
    summary: str
    spec: str
    component: str
    golden: str
    bench: str
    defaults: Mapping[str, object] = field(default_factory=dict)
    derived: Mapping[str, Callable[[dict], object]] = field(default_factory=dict)
    fabrics: tuple[str, ...] = ("generic",)
    component_defaults: Mapping[str, object] = field(default_factory=dict)
    fine: Mapping[str, object]
    small: Mapping[str, Mapping[str, object]]
    proved: Mapping[str, Mapping[str, object]]

    @property
    def spec_class(self) -> type:
        """The dataclass, imported."""
        return _member(self.spec)

    @property
    def golden_function(self) -> Callable:
        """The function, imported."""
        return _member(self.golden)

    @property
    def parameters(self) -> dict[str, type]:
        """Every parameter's name and type, those of the spec first."""
        kinds = get_type_hints(self.spec_class)
        extra = {name: type(value) for name, value in self.component_defaults.items()}
        return {one.name: kinds[one.name] for one in fields(self.spec_class)} | extra

    def default(self, name: str) -> object:
        """Return the default of a parameter; None where it is derived from others."""
        if name in self.derived:
            return None
        for values in (self.defaults, self.component_defaults):
            if name in values:
                return values[name]
        value = next(one.default for one in fields(self.spec_class) if one.name == name)
        return None if value is MISSING else value

    def values(self, settings: Mapping[str, object]) -> dict[str, object]:
        """Return the value of every parameter: ``settings``, then defaults, then what the spec derives.

        Raises
        ------
        ValueError
            An unknown parameter, or a value that the spec refuses.
        """
        self.check_names(settings)
        spec = self.make_spec(settings)
        return {one.name: getattr(spec, one.name) for one in fields(spec)} | self.component_values(settings)

    def component_values(self, settings: Mapping[str, object]) -> dict[str, object]:
        """Return the values of the parameters of the component that are not in the spec."""
        return {name: settings.get(name, value) for name, value in self.component_defaults.items()}

    def make_spec(self, settings: Mapping[str, object]):
        """Return the spec for ``settings``; errors as :meth:`values`."""
        self.check_names(settings)
        known = {**self.defaults, **{name: value for name, value in settings.items()
                                     if name not in self.component_defaults}}
        for name, derive in self.derived.items():
            known.setdefault(name, derive(known))
        try:
            return self.spec_class(**known)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.name}: {error}") from error

    def fabric_for(self, fabric: str) -> str:
        """Return ``fabric`` if the component has hardware for it, else ``generic``."""
        return fabric if fabric in self.fabrics else "generic"

    def make(self, settings: Mapping[str, object], fabric: str = "generic"):
        """Return a new component for ``settings``, built for :meth:`fabric_for`; errors as :meth:`values`."""
        spec = self.make_spec(settings)
        arguments = self.component_values(settings)
        if len(self.fabrics) > 1:
            arguments["fabric"] = self.fabric_for(fabric)
        try:
            return _member(self.component)(spec, **arguments)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.name}: {error}") from error

    def check_names(self, settings: Iterable[str]) -> None:
        """Raise :exc:`ValueError` that lists the legal names unless ``settings`` are names of parameters."""
        if unknown := [name for name in settings if name not in self.parameters]:
            raise ValueError(
                f"parameter of {self.name} must be one of {', '.join(self.parameters)}, not {unknown[0]!r}")


UNITS = {unit.name: unit for unit in (
    Unit(
        name="mac", title="MAC array", summary="rows × cols dot products of depth terms per cycle",
        spec="vitric.golden.spec.mac:MacArraySpec", component="vitric.hdl.mac.array:MacArray",
        golden="vitric.golden.integer.mac:mac_array", bench="vitric.sim.benches.mac", fabrics=FABRICS,
        defaults={"rows": 4, "cols": 4, "depth": 16, "a_bits": 4, "w_bits": 4, "acc_bits": 24, "mapping": "lut"},
        derived={"shifts": lambda known: (0, known["a_bits"])},
        fine={"rows": 2, "cols": 2, "depth": 4, "a_bits": 3, "w_bits": 3},
        small={"mac": {"rows": 2, "cols": 2, "depth": 2, "a_bits": 3, "w_bits": 3, "acc_bits": 16}},
        proved={
            name: {"rows": 1, "cols": 1, "depth": 2, "a_bits": 2, "w_bits": 2, "acc_bits": 5, "mapping": mapping}
            for name, mapping in (("mac", "generic"), ("mac_lut", "lut"))},
    ),
    Unit(
        name="softmax", title="softmax", summary="base-2 softmax of rows, no multiplier, no divider",
        spec="vitric.golden.spec.softmax:SoftmaxSpec", component="vitric.hdl.softmax:Softmax",
        golden="vitric.golden.integer.softmax:softmax", bench="vitric.sim.benches.softmax",
        defaults={"lanes": 8, "max_length": 256},
        fine={"lanes": 2, "max_length": 20, "score_bits": 15, "frac_bits": 10, "columns": 2},
        small={
            "softmax": {"lanes": 1, "max_length": 4, "score_bits": 7, "frac_bits": 2, "out_bits": 4},
            "softmax_columns": {
                "lanes": 1, "max_length": 7, "score_bits": 7, "frac_bits": 2, "out_bits": 4, "columns": 2}},
        proved={"softmax": {"lanes": 1, "max_length": 2, "score_bits": 4, "frac_bits": 2, "out_bits": 2}},
    ),
    Unit(
        name="layernorm", title="LayerNorm", summary="exact moments, reciprocal root by table, affine, codes",
        spec="vitric.golden.spec.layernorm:LayerNormSpec", component="vitric.hdl.layernorm:LayerNorm",
        golden="vitric.golden.integer.layernorm:layernorm", bench="vitric.sim.benches.layernorm", fabrics=FABRICS,
        defaults={"lanes": 8, "max_length": 1024},
        fine={"lanes": 2, "max_length": 40, "in_bits": 12},
        small={
            "layernorm": {"lanes": 1, "max_length": 40, "in_bits": 10, "out_bits": 4},
            "layernorm_fabric": {
                "lanes": 1, "max_length": 40, "in_bits": 10, "out_bits": 4, "row_products": "fabric"}},
        proved={"layernorm": {"lanes": 1, "max_length": 2, "in_bits": 10, "out_bits": 2, "gamma_fraction": 4}},
    ),
    Unit(
        name="requantize", title="requantize", summary="accumulators to codes: bias, multiplier, shift, clamp",
        spec="vitric.golden.spec.requantize:RequantizeSpec", component="vitric.hdl.activation.requantize:Requantize",
        golden="vitric.golden.arith:requantize", bench="vitric.sim.benches.requantize", fabrics=FABRICS,
        defaults={"lanes": 4, "acc_bits": 24}, component_defaults={"tag_bits": 0},
        fine={"lanes": 2, "acc_bits": 20, "bias_bits": 16, "multiplier_bits": 8, "shifts": (4, 8, 12, 20),
              "out_bits": 8, "tag_bits": 3},
        small={"requantize": {"lanes": 2, "acc_bits": 12, "bias_bits": 16, "multiplier_bits": 8,
                              "shifts": (4, 8, 12, 20), "out_bits": 4, "tag_bits": 3}},
        proved={
            "requantize": {"lanes": 1, "acc_bits": 8, "bias_bits": 8, "multiplier_bits": 4, "shifts": (0, 3),
                           "out_bits": 3, "tag_bits": 2},
            "requantize_shift": {"lanes": 1, "acc_bits": 8, "bias_bits": 6, "multiplier_bits": 0,
                                 "shifts": (0, 1, 4, 7), "out_bits": 4, "tag_bits": 2},
            # wider than the multiplier's operand
            "requantize_narrow": {"lanes": 1, "acc_bits": 20, "bias_bits": 19, "multiplier_bits": 1, "shifts": (0, 15),
                                  "out_bits": 2, "tag_bits": 2}},
    ),
    Unit(
        name="gelu", title="GELU", summary="a table from code to code",
        spec="vitric.golden.spec.requantize:TableSpec", component="vitric.hdl.activation.gelu:Gelu",
        golden="vitric.golden.arith:lookup", bench="vitric.sim.benches.gelu",
        defaults={"lanes": 4}, component_defaults={"tag_bits": 0},
        fine={"lanes": 2, "index_bits": 5, "out_bits": 4, "tag_bits": 5},
        small={"gelu": {"lanes": 2, "index_bits": 4, "out_bits": 3, "tag_bits": 4}},
        proved={"gelu": {"lanes": 2, "index_bits": 2, "out_bits": 2, "tag_bits": 2}},
    ),
)}
"""By name."""
