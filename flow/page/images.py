"""The section with the images: what each was taken for, and where the class token looked."""

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from ..project.pictures import label_of
from .found import Found
from .parts import Missing, Note, Part, Picture, Pictures, Section
from .summary import other_images

if TYPE_CHECKING:
    import torch
    from vitric.golden.spec.vit import VitConfig

__all__ = ["attention_png", "image_png", "images"]

_LIKELY = 3  # classes
_GAP = 1  # pixels between maps of attention


def images(found: Found) -> Section:
    """Return the images that were simulated, or the first test images; those on which the models differ first."""
    import torch

    logits, trace = found.golden
    exact, pixels, labels = found.float_logits, found.images.images, found.images.labels
    rtl = found.rtl_logits
    wrong = set() if rtl is None else set(other_images(found))
    shares = _shares(found, logits)
    classes = logits.argmax(1)
    floats = None if exact is None else exact.argmax(1)
    order = sorted(range(len(pixels)), key=lambda n: (
        n not in wrong, floats is None or bool(floats[n] == classes[n]),
        labels is None or bool(labels[n] == classes[n]), n))
    shown = []
    for n in order:
        name = partial(label_of, found.project.labels)
        lines = [f"image {n}" + ("" if labels is None else f": {name(int(labels[n]))}")]
        best = torch.argsort(logits[n], descending=True, stable=True)[:_LIKELY].tolist()
        lines += [name(c) if shares is None else f"{name(c)} {float(shares[n, c]):.1%}" for c in best]
        differs = floats is not None and bool(floats[n] != classes[n])
        if differs:
            lines.append(f"float: {name(int(floats[n]))}")
        if n in wrong:
            lines.append("hardware: other logits")
        bad = n in wrong or (labels is not None and bool(labels[n] != classes[n]))
        shown.append(Picture(png=image_png(pixels[n]), lines=lines, tone="bad" if bad else "plain",
                             more=attention_png(trace, n, found.project.vit), more_text="attention"))
    parts: list[Part] = []
    if rtl is None:
        parts.append(Missing(what="what the generated hardware makes of them", command=found.command("sim")))
    if found.project.data is None:
        parts.append(Note(text="The project names no data: these images are random."))
    text = ("The first line is the true class" if labels is not None else "Random images")
    parts.append(Pictures(pictures=shown, text=(
        f"{text}; below are the integer model's {_LIKELY} most likely classes. First come images on which the float "
        "model says something else, then wrong ones. Attention: how much of each patch the class token takes in, a row "
        "for each block, a column for each head.")))
    return Section(name="images", title="Images", parts=parts)


def _shares(found: Found, logits: "torch.Tensor") -> "torch.Tensor | None":
    scale = found.model.info.get("logit_scale")
    return None if scale is None else (logits.double() * float(scale)).softmax(1)


def image_png(pixels: "torch.Tensor") -> bytes:
    """Return an image, uint8 [C, S, S] with one channel or three, as a file."""
    import torch
    from PIL import Image

    values = pixels.to(torch.uint8)
    image = Image.fromarray(values[0].numpy() if len(values) == 1 else values[:3].permute(1, 2, 0).contiguous().numpy())
    return _file(image)


def _file(image) -> bytes:
    file = BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()


def attention_png(trace: "dict[str, torch.Tensor]", image: int, vit: "VitConfig") -> bytes:
    """Return the probabilities of the class token for each patch: block by block, head by head, each at its largest."""
    import torch
    from PIL import Image

    side, step = vit.image_size // vit.patch_size, vit.image_size // vit.patch_size + _GAP
    sheet = torch.full((vit.depth * step - _GAP, vit.num_heads * step - _GAP), 128, dtype=torch.uint8)
    for block in range(vit.depth):
        heads = trace[f"blocks.{block}.attn.softmax"][image][:, 0, vit.num_prefix_tokens:].double()
        heads = heads / heads.amax(1, keepdim=True).clamp(min=1)
        for head, row in enumerate(heads):
            sheet[block * step:block * step + side, head * step:head * step + side] = (
                row.reshape(side, side) * 255).to(torch.uint8)
    return _file(Image.fromarray(sheet.numpy()))
