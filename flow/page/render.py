"""A page from its sections: one file that needs nothing else."""

from base64 import b64encode
from collections.abc import Sequence

from .parts import Plot, Section

__all__ = ["page", "png_uri"]


def page(title: str, sections: Sequence[Section]) -> str:
    """Return a page of HTML with ``sections``; Bokeh's JavaScript and all pictures are in it."""
    from bokeh.embed import components
    from bokeh.resources import Resources
    from jinja2 import Environment, PackageLoader, StrictUndefined

    plots = {id(part): part for section in sections for part in section.parts if isinstance(part, Plot)}
    script, divs = components({str(key): part.model for key, part in plots.items()}) if plots else ("", {})
    environment = Environment(loader=PackageLoader("vitric.flow.page"), autoescape=True, trim_blocks=True,
                              lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters["png"] = png_uri
    return environment.get_template("report.html").render(
        title=title, sections=sections, divs={int(key): div for key, div in divs.items()}, script=script, id=id,
        bokeh=Resources(mode="inline", components=["bokeh"]).render() if plots else "")


def png_uri(data: bytes) -> str:
    """Return an image file (PNG) as an address that holds all of it."""
    return f"data:image/png;base64,{b64encode(data).decode()}"
