"""How the makers of a checkpoint prepare images: timm's ``pretrained_cfg``, Hugging Face's preprocessor."""

from dataclasses import dataclass

from ..data.transform import INTERPOLATIONS, EvalTransform, resize_for_crop
from ..spec.vit import PIXEL_MAX, VitConfig
from .fields import Fields

__all__ = ["Pixels", "pixels_of"]

_TIMM_CROP_PCT = 0.875  # of a pretrained_cfg that does not say
_CROP_MODES = ("center", "squash")
_BY_NUMBER = {int(filter): name for name, filter in INTERPOLATIONS.items()}  # Pillow's numbers
_PROCESSORS = {  # defaults of Hugging Face's classes for what the file does not say: size, crop, filter
    "vit": (224, None, "bilinear"), "deit": (256, 224, "bicubic"), "clip": (224, 224, "bicubic"),
    "bit": (224, 224, "bicubic")}
_ENDINGS = ("ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor")
_CLASSES = {f"{name}{ending}": name.lower() for name in ("ViT", "DeiT", "CLIP", "Bit") for ending in _ENDINGS}
_STEPS = ("do_resize", "do_rescale")  # of Hugging Face's that cannot be left out
_OPTIONAL = ("do_center_crop", "do_normalize", "do_convert_rgb")


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """What is known about the preparation of images.

    Attributes
    ----------
    mean, std
        Statistics of the pixels; ``None`` if unknown.
    crop_pct
        Of timm, for :func:`~vitric.golden.data.transform.resize_for_crop`.
    resize, squash, interpolation, centre_down
        Of :class:`~vitric.golden.data.transform.EvalTransform`.
    sizes
        Sides of the result that the files state: name of the field, value.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    crop_pct: float | None = None
    resize: int | None = None
    squash: bool = False
    interpolation: str = "bicubic"
    centre_down: bool = False
    sizes: tuple[tuple[str, int], ...] = ()

    def transform(self, config: VitConfig, trained: VitConfig) -> EvalTransform:
        """Return the transform of images for a model of ``config``, made from one that was ``trained`` on another size.

        Raises
        ------
        ValueError
            The files prepare images of another size than the tensors have, and no size was asked for.
        """
        resize = self.resize
        for name, side in self.sizes:
            if resize is not None:
                resize = round(resize * config.image_size / side)
            if config == trained and side != config.image_size:
                raise ValueError(f"{name} must be the model's image size, {config.image_size}, not {side}; with "
                                 f"image_size (--image-size) {side} the position embedding is resampled")
        if self.crop_pct is not None:
            resize = resize_for_crop(config.image_size, self.crop_pct)
        return EvalTransform(image_size=config.image_size, in_chans=config.in_chans, resize=resize, squash=self.squash,
                             interpolation=self.interpolation, centre_down=self.centre_down)


def pixels_of(config: Fields, preprocessor: Fields) -> Pixels:
    """Return what timm's ``config``, else Hugging Face's ``preprocessor``, says about images."""
    arguments = config.object("model_args")
    if config.has("pretrained_cfg"):
        return _timm(config.object("pretrained_cfg"), arguments)
    if config.has("architecture"):  # an older file of timm's
        return _timm(config, arguments)
    return _hugging_face(preprocessor) if preprocessor.values else Pixels()


def _timm(found: Fields, arguments: Fields) -> Pixels:
    mode = found.choice("crop_mode", _CROP_MODES, "center")
    found.choice("crop_border_pixels", (0,))
    sizes = found.numbers("input_size")
    if sizes is not None and len(sizes) != 3:
        raise ValueError(f"input_size in {found.where} must be channels, height and width, not "
                         f"{found.values['input_size']}")
    resized = arguments.has("img_size")  # then the model has other images than those of the pretrained one
    return Pixels(
        mean=found.numbers("mean"), std=found.numbers("std"), crop_pct=found.number("crop_pct") or _TIMM_CROP_PCT,
        squash=mode == "squash", interpolation=found.choice("interpolation", tuple(INTERPOLATIONS), "bicubic"),
        sizes=() if sizes is None or resized else tuple((f"input_size in {found.where}", side) for side in sizes[1:]))


def _hugging_face(found: Fields) -> Pixels:
    kinds = [name for name in ("image_processor_type", "feature_extractor_type") if found.has(name)]
    kind = found.choice(kinds[0], tuple(_CLASSES)) if kinds else "ViTImageProcessor"
    size, crop, interpolation = _PROCESSORS[_CLASSES[kind]]
    _check_steps(found)
    crops = found.choice("do_center_crop", (False, True), crop is not None)
    edge = _shortest_edge(found)
    size = edge or found.side("size") or size
    crop = found.side("crop_size") or crop or size
    normalises = found.choice("do_normalize", (False, True), True)
    resample = found.choice("resample", tuple(_BY_NUMBER))
    if edge and not crops:
        raise ValueError(f"do_center_crop in {found.where} must be True where size is a shortest_edge, not False")
    if crops and crop > size:
        raise ValueError(f"crop_size in {found.where} must be at most size, {size}, not {crop}")
    return Pixels(
        mean=found.numbers("image_mean") if normalises else (0.0,),
        std=found.numbers("image_std") if normalises else (1.0,), resize=size, squash=not edge, centre_down=True,
        interpolation=interpolation if resample is None else _BY_NUMBER[resample],
        sizes=((f"{'crop_size' if crops else 'size'} in {found.where}", crop if crops else size),))


def _shortest_edge(found: Fields) -> int | None:
    """Return the size of a side if the other one follows from the image's shape, else ``None``."""
    size = found.values.get("size")
    return found.object("size").integer("shortest_edge") if isinstance(size, dict) and len(size) == 1 else None


def _check_steps(found: Fields) -> None:
    """Raise unless the steps are those of these processors: resize, crop, divide by 255, normalise."""
    for name in _STEPS:
        found.choice(name, (True,))
    for name in found.values:
        if name.startswith("do_") and name not in (*_STEPS, *_OPTIONAL):
            found.choice(name, (False,))
    factor = found.number("rescale_factor")
    if factor is not None and abs(factor * PIXEL_MAX - 1) > 1e-6:
        raise ValueError(f"rescale_factor in {found.where} must be 1/{PIXEL_MAX}, not {factor!r}")
