"""What the tensors of a checkpoint do not say: heads, epsilon, classes' names. Files beside it may."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from .fields import Fields, read_fields
from .pixels import Pixels, pixels_of

__all__ = ["STATISTICS", "Beside", "read_beside"]

STATISTICS = MappingProxyType({
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
})
"""Mean and deviation of the pixels by name: ``imagenet`` for DeiT and DINOv2, ``half`` for timm's and Google's ViT."""

_ARCHITECTURES = ("vit", "deit", "dinov2", "dinov2_with_registers", "clip", "clip_vision_model")
_ACTIVATIONS = {"gelu": "gelu", "quick_gelu": "quick_gelu", "gelu_tanh": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
                "gelu_new": "gelu_tanh"}  # timm's name for each of theirs and Hugging Face's
_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"
_QUICK = "quickgelu"  # in the names of timm's architectures that have that activation

_SIDES = {"image_size": "image_size", "patch_size": "patch_size"}
_SIZES = {"hidden_size": "embed_dim", "num_hidden_layers": "depth", "intermediate_size": "hidden_dim",
          "num_channels": "in_chans", "num_classes": "num_classes", "num_features": "embed_dim"}
_ARGUMENT_SIDES = {"img_size": "image_size", "patch_size": "patch_size"}
_ARGUMENT_SIZES = {name: name for name in ("in_chans", "num_classes", "embed_dim", "depth")}
_HARMLESS = ("num_heads", "mlp_ratio", "qkv_bias", "class_token", "global_pool", "act_layer", "weight_init", "fix_init",
             "pre_norm", "init_values", "reg_tokens", "no_embed_class", "dynamic_img_size", "dynamic_img_pad",
             "drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate",
             "drop_path_rate")  # arguments of timm's that are checked elsewhere, or only for training
_NO_HEAD = ("num_classes", 0)  # how timm says that there is none
_PLACEHOLDER = "LABEL_"  # how Hugging Face calls classes that have no name


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What the files beside a checkpoint say, ``None`` where they say nothing.

    Attributes
    ----------
    num_heads
        Attention heads.
    layer_norm_eps
        Epsilon of every LayerNorm.
    act_layer
        Activation of the MLP, by timm's name.
    labels
        Names of the classes, by number.
    pixels
        Statistics of the pixels, and how images are brought to size.
    stated
        What the tensors say, too: name of the field in the file, name of the dimension in
        :class:`~vitric.golden.spec.vit.VitConfig`, value.
    where
        The file of ``stated``.
    """

    num_heads: int | None = None
    layer_norm_eps: float | None = None
    act_layer: str | None = None
    labels: tuple[str, ...] | None = None
    pixels: Pixels = field(default_factory=Pixels)
    stated: tuple[tuple[str, str, int], ...] = ()
    where: str = _CONFIG

    def check(self, tensors: Mapping[str, int]) -> None:
        """Raise :exc:`ValueError` unless the files belong to a model of these dimensions, by their names there."""
        for name, meant, value in self.stated:
            if value != tensors[meant]:
                raise ValueError(f"{self.where} belongs to another model: its {name} is {value}, the tensors have "
                                 f"{tensors[meant]}")
        if self.labels is not None and len(self.labels) != tensors["num_classes"]:
            raise ValueError(f"{self.where} belongs to another model: it has names for {len(self.labels)} classes, the "
                             f"tensors have {tensors['num_classes']}")


def _stated(fields: Fields, sides: Mapping[str, str], sizes: Mapping[str, str]) -> list[tuple[str, str, int]]:
    found = [(name, meant, fields.side(name)) for name, meant in sides.items()]
    found += [(name, meant, fields.integer(name)) for name, meant in sizes.items()
              if (name, fields.values.get(name)) != _NO_HEAD]
    return [entry for entry in found if entry[2] is not None]


def _labels(config: Fields) -> tuple[str, ...] | None:
    """Return the names of the classes, Hugging Face's or timm's, unless they are placeholders."""
    for name in ("id2label", "label_names"):
        labels = config.names(name)
        if labels is not None and not all(label.startswith(_PLACEHOLDER) for label in labels):
            return labels
    return None


def _check_arguments(arguments: Fields) -> None:
    """Raise unless timm's arguments of the model make the network that the float model here computes."""
    known = (*_HARMLESS, *_ARGUMENT_SIDES, *_ARGUMENT_SIZES)
    for name, value in arguments.values.items():
        if value and name not in known:
            raise ValueError(f"{name} in {arguments.where} is not supported; supported are {', '.join(sorted(known))}")


def _check_network(config: Fields, arguments: Fields) -> None:
    """Raise unless the files describe a pre-norm ViT with a class token."""
    config.choice("model_type", _ARCHITECTURES)
    for fields in (config, arguments):
        fields.choice("global_pool", ("token",))
    _check_arguments(arguments)


def _activation(config: Fields, arguments: Fields) -> str | None:
    """Return timm's name of the activation of the MLP that the files name."""
    legal = tuple(_ACTIVATIONS)
    named = (config.choice("hidden_act", legal) or arguments.choice("act_layer", legal)
             or config.choice("act_layer", legal))
    if named is None:
        return "quick_gelu" if _QUICK in str(config.values.get("architecture", "")) else None
    return _ACTIVATIONS[named]


def read_beside(folder: Path) -> Beside:
    """Return what ``config.json`` (timm's or Hugging Face's) and ``preprocessor_config.json`` in ``folder`` say.

    Raises
    ------
    ValueError
        A file is no JSON object, a field has no legal value, or says that the checkpoint has another architecture,
        activation or pooling, or that images are prepared in a way that is not supported; the message names the field.
    """
    config, preprocessor = read_fields(folder / _CONFIG), read_fields(folder / _PREPROCESSOR)
    if config.has("vision_config"):  # of a model of images and texts
        config.choice("model_type", _ARCHITECTURES)
        config = config.object("vision_config")
    arguments = config.object("model_args")
    _check_network(config, arguments)
    stated = _stated(config, _SIDES, _SIZES) + _stated(arguments, _ARGUMENT_SIDES, _ARGUMENT_SIZES)
    return Beside(
        num_heads=config.integer("num_attention_heads") or arguments.integer("num_heads"),
        layer_norm_eps=config.number("layer_norm_eps"), act_layer=_activation(config, arguments),
        labels=_labels(config), pixels=pixels_of(config, preprocessor), stated=tuple(stated), where=config.where)
