"""The page of a run in a notebook."""

import html
from pathlib import Path
from typing import NamedTuple


class Page(NamedTuple):
  """A page that was written; a notebook shows it in a frame.

  Attributes:
    path: of the HTML file.
  """

  path: Path

  def _repr_html_(self) -> str:
    document = html.escape(self.path.read_text("utf-8"))
    return (
      f'<iframe srcdoc="{document}" style="width: 100%; height: 80vh;'
      ' border: 0" sandbox="allow-scripts"></iframe>'
    )
