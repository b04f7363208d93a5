"""`Drawn`: a figure, and in words what it shows. A caption is computed from the data, so that it holds for them."""

import base64
import html
import io
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from analysis.figures import style


class NothingToDrawError(ValueError):
    """The frames are in order and hold nothing that this figure could show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One figure.

    Attributes:
        title: what was measured; it stands in the figure too.
        caption: what to see in these data, in whole sentences.
        alt: what kind of figure it is, and its caption, for who cannot see it.
    """

    figure: Figure
    title: str
    caption: str
    alt: str

    def _repr_png_(self) -> bytes:
        """The picture alone."""
        content = io.BytesIO()
        style.save(self.figure, content)
        return content.getvalue()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """How a notebook shows it: the picture with its caption, and with words for who cannot see it."""
        picture = base64.b64encode(self._repr_png_()).decode()
        shown = (
            f'<figure style="margin: 0; max-width: {style.WIDTH_IN}in"><img src="data:image/png;base64,{picture}" '
            f'alt="{html.escape(self.alt)}" style="max-width: 100%"><figcaption>{html.escape(self.caption)}</figcaption></figure>'
        )
        return {"text/html": shown, "image/png": picture, "text/plain": self.alt}
