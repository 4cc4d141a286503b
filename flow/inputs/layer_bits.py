"""Files of widths per layer: what `vitric allocate` writes and other commands read."""

from pathlib import Path

from vitric.golden.errors import UserError
from vitric.golden.files import parse_json

__all__ = ["read_layer_bits"]


def read_layer_bits(path: Path) -> dict[str, tuple[int, int]]:
    """Return the widths ``(w_bits, a_bits)`` by name from a JSON file: an object with an object ``layer_bits``.

    Raises
    ------
    UserError
        The file cannot be read, is not such an object, or a name or width in it is illegal.
    """
    from vitric.golden.quantization.bits import check_layer_bits

    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or "layer_bits" not in content:
        raise UserError(f"{path} must be a JSON object with the entry layer_bits, as `vitric allocate` writes it")
    try:
        return {name: tuple(bits) for name, bits in check_layer_bits(content["layer_bits"]).items()}
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error
