"""The units that can be generated and measured alone, with their parameters as a user writes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from importlib import import_module
from typing import get_type_hints

from vitric.golden.errors import UserError

__all__ = ["FABRICS", "UNITS", "Unit", "find_unit", "parse_settings"]

FABRICS = ("generic", "ecp5", "ice40")
"""What a unit can be built of: expressions that suit every part, or carry cells and multipliers of one family."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One unit of ``hdl/`` by its name in commands.

    Attributes
    ----------
    name, summary : str
        Name in commands; what the unit is, in a few words.
    spec, component : str
        ``module:class`` of the frozen dataclass that holds the parameters, and of the hardware.
    defaults : mapping of str to value
        Values of parameters that the spec wants to be given, or that are a better start than the spec's own.
    derived : mapping of str to function
        Default of a parameter as a function of the parameters that are known.
    fabrics : tuple of str
        Those of :data:`FABRICS` that the component has hardware for.
    fabric_argument : str or None
        Name of the component's argument that takes one of them; None if it has none.
    component_defaults : mapping of str to value
        Parameters of the component that are not in the spec, with their defaults.
    """

    name: str
    summary: str
    spec: str
    component: str
    defaults: Mapping[str, object] = field(default_factory=dict)
    derived: Mapping[str, Callable[[dict], object]] = field(default_factory=dict)
    fabrics: tuple[str, ...] = ("generic",)
    fabric_argument: str | None = None
    component_defaults: Mapping[str, object] = field(default_factory=dict)

    @property
    def spec_class(self) -> type:
        """The dataclass, imported."""
        return _member(self.spec)

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
        UserError
            An unknown parameter, or a value that the spec refuses.
        """
        self._check_names(settings)
        spec = self.make_spec(settings)
        extra = {name: settings.get(name, value) for name, value in self.component_defaults.items()}
        return {one.name: getattr(spec, one.name) for one in fields(spec)} | extra

    def make_spec(self, settings: Mapping[str, object]):
        """Return the spec for ``settings``; errors as :meth:`values`."""
        self._check_names(settings)
        known = {**self.defaults, **{name: value for name, value in settings.items()
                                     if name not in self.component_defaults}}
        for name, derive in self.derived.items():
            known.setdefault(name, derive(known))
        try:
            return self.spec_class(**known)
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.name}: {error}") from error

    def fabric_for(self, fabric: str) -> str:
        """Return ``fabric`` if the component has hardware for it, else ``generic``."""
        return fabric if fabric in self.fabrics else "generic"

    def make(self, settings: Mapping[str, object], fabric: str = "generic"):
        """Return a new component for ``settings``, built for :meth:`fabric_for`; errors as :meth:`values`."""
        spec = self.make_spec(settings)
        arguments = {name: settings.get(name, value) for name, value in self.component_defaults.items()}
        if self.fabric_argument is not None:
            arguments[self.fabric_argument] = self.fabric_for(fabric)
        try:
            return _member(self.component)(spec, **arguments)
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.name}: {error}") from error

    def _check_names(self, settings: Mapping[str, object]) -> None:
        if unknown := [name for name in settings if name not in self.parameters]:
            raise UserError(
                f"parameter of {self.name} must be one of {', '.join(self.parameters)}, not {unknown[0]!r}")


def _member(path: str):
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


UNITS = {unit.name: unit for unit in (
    Unit(
        name="mac", summary="array of dot products", spec="vitric.golden.spec.mac:MacArraySpec",
        component="vitric.hdl.mac.array:MacArray", fabric_argument="fabric",
        fabrics=("generic", "ecp5", "ice40", "gowin"),
        defaults={"rows": 4, "cols": 4, "depth": 16, "a_bits": 4, "w_bits": 4, "acc_bits": 24, "mapping": "lut"},
        derived={"shifts": lambda known: (0, known["a_bits"])},
    ),
    Unit(
        name="softmax", summary="base-2 softmax of rows", spec="vitric.golden.spec.softmax:SoftmaxSpec",
        component="vitric.hdl.softmax:Softmax", defaults={"lanes": 8, "max_length": 256},
    ),
    Unit(
        name="layernorm", summary="LayerNorm of rows", spec="vitric.golden.spec.layernorm:LayerNormSpec",
        component="vitric.hdl.layernorm:LayerNorm", fabric_argument="mapping",
        fabrics=("generic", "ecp5", "ice40", "gowin"),
        defaults={"lanes": 8, "max_length": 1024},
    ),
    Unit(
        name="requantize", summary="accumulators to codes", spec="vitric.golden.spec.requantize:RequantizeSpec",
        component="vitric.hdl.activation.requantize:Requantize", fabric_argument="mapping",
        fabrics=("generic", "ecp5", "ice40", "gowin"),
        defaults={"lanes": 4, "acc_bits": 24}, component_defaults={"tag_bits": 0},
    ),
    Unit(
        name="gelu", summary="table from code to code", spec="vitric.golden.spec.requantize:TableSpec",
        component="vitric.hdl.activation.gelu:Gelu", defaults={"lanes": 4}, component_defaults={"tag_bits": 0},
    ),
)}
"""By name."""


def find_unit(name: str) -> Unit:
    """Return the unit called ``name``; raise :exc:`UserError` that lists the legal names if there is none."""
    if name not in UNITS:
        raise UserError(f"unit must be one of {', '.join(UNITS)}, not {name!r}")
    return UNITS[name]


def _parse_int(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text  # the spec's own check says what is legal


def parse_settings(unit: Unit, texts: Sequence[str]) -> dict[str, object]:
    """Return parameters from texts ``name=value``; a later one replaces an earlier one of the same name.

    Tuples are written with commas: ``shifts=0,4``.

    Raises
    ------
    UserError
        A text without ``=``, an unknown parameter, or a value that the spec refuses.
    """
    settings: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set must be name=value, not {text!r}; the names are {', '.join(unit.parameters)}")
        unit._check_names([name])
        kind = unit.parameters[name]
        if kind is str:
            settings[name] = value
        elif getattr(kind, "__origin__", None) is tuple:
            settings[name] = tuple(_parse_int(part) for part in value.split(","))
        else:
            settings[name] = _parse_int(value)
    unit.values(settings)
    return settings
