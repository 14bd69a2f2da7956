"""What a page is made of: plain values that the template lays out."""

from typing import Any, NamedTuple


class Cell(NamedTuple):
  """One cell of a table.

  Attributes:
    text: what is shown.
    value: what it is sorted by, a number with all its digits or the text.
  """

  text: str
  value: str


class Table(NamedTuple):
  """Rows of cells.

  Attributes:
    caption: says what it shows.
    columns: the headings.
    titles: what each heading means.
    numeric: whether the column holds numbers.
    rows: a cell for each column.
    sortable: by a click on a heading.
    folded: shown when its caption is clicked.
    kind: for the template.
  """

  caption: str
  columns: list[str]
  titles: list[str]
  numeric: list[bool]
  rows: list[list[Cell]]
  sortable: bool = False
  folded: bool = False
  kind: str = "table"


class Plot(NamedTuple):
  """An interactive figure; `min_width` in px, under which its box scrolls."""

  caption: str
  figure: Any  # plotly.graph_objects.Figure
  height: int
  min_width: int = 0
  wide: bool = True
  kind: str = "plot"


class Picture(NamedTuple):
  """A PNG as a data URI; its natural size in px; `alt` describes it."""

  caption: str
  alt: str
  uri: str
  width: int
  height: int
  wide: bool = False
  kind: str = "picture"


class Listing(NamedTuple):
  """Text in a fixed-width font."""

  caption: str
  text: str
  kind: str = "listing"


Block = Table | Plot | Picture | Listing


class Section(NamedTuple):
  """A heading with what stands under it; none is written where all is empty."""

  title: str
  text: str
  blocks: list[Block]
  parts: tuple["Section", ...] = ()
