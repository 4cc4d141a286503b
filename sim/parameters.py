"""How a bench is told the parameters of the unit that it tests: in variables of the environment, as JSON."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict

__all__ = ["component_parameters", "environment", "read_spec"]

_SPEC, _COMPONENT = "VITRIC_SPEC", "VITRIC_COMPONENT"


def environment(spec, **component: object) -> dict[str, str]:
    """Return the variables for a unit's spec and for parameters of its component that are not in the spec."""
    return {_SPEC: json.dumps(asdict(spec)), _COMPONENT: json.dumps(component)}


def read_spec(cls: type, default=None):
    """Return the spec, of the dataclass ``cls``, that :func:`environment` was given; without one, ``default``."""
    if default is not None and _SPEC not in os.environ:
        return default
    fields = json.loads(os.environ[_SPEC])
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})


def component_parameters() -> Mapping[str, object]:
    """Return the other parameters by name."""
    return json.loads(os.environ[_COMPONENT])
