"""How the axes of all pictures look, and how pictures become bytes: no screen, no state that threads would share.

Not here: what a picture shows (with what it is about), and how a page holds it (`assets.presentation`).
"""

from io import BytesIO
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED = "#1f2937", "#d1d5db"


def tidy(axes: "Axes", *, label_size: float = 7.5) -> None:
    """Small labels, and lines only to the left and below."""
    axes.tick_params(labelsize=label_size, colors=INK, length=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(MUTED)


def drawn(figure: "Figure", form: Literal["png", "svg", "pdf"] = "png") -> bytes:
    """The figure in all its colours."""
    buffer = BytesIO()
    # A figure that pyplot does not know draws by Agg here, and is gone with its last reference.
    figure.savefig(buffer, format=form)
    return buffer.getvalue()


def png(figure: "Figure", colours: int) -> bytes:
    """The figure as PNG with a palette: a fraction of the size, and the eye sees no difference.

    Args:
        colours: of the palette, 2 to 256; 16 are enough for lines, 64 for areas that shine through.
    """
    return reduced(drawn(figure), colours)


def reduced(picture: bytes, colours: int, *, form: Literal["png", "webp"] = "png", scale: float = 1.0) -> bytes:
    """A picture in fewer colours, and smaller.

    Args:
        picture: PNG.
        colours: 2 to 256.
        form: a lossless WebP takes about half the bytes of a PNG for lines and text.
        scale: share of width and height that stays, over 0, up to 1.
    """
    from PIL import Image

    small = BytesIO()
    with Image.open(BytesIO(picture)) as original:
        found = original.convert("RGB")
        if scale < 1:
            found = found.resize((round(found.width * scale), round(found.height * scale)))
        found = found.quantize(colours)
        if form == "png":
            found.save(small, format="PNG", optimize=True)
        else:
            found.convert("RGB").save(small, format="WEBP", lossless=True, quality=100, method=4)
    return small.getvalue()
