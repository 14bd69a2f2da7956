"""What the tests of the page share: small runs, and a parser of HTML."""

import json
import re
from html.parser import HTMLParser

import ae_jax
from ae_jax import grid

SCRIPT = "</script><script>alert(1)</script>"
SMALL = {"num_epochs": [1], "batch_size": [16], "widths": [()]}
VOID = {"meta", "link", "img", "br"}


class ParsedPage(HTMLParser):
  """Tags, attributes and texts of a page; every tag must be closed."""

  def __init__(self, path):
    super().__init__()
    self.text = path.read_text("utf-8")
    self.tags, self.attributes, self.headings = [], [], []
    self.cells, self.scripts, self.words = [], [], []
    self._open = []
    self.feed(self.text)
    self.close()
    assert self._open == []

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    self.tags.append(tag)
    self.attributes.append((tag, attrs))
    if tag not in VOID:
      self._open.append(tag)
    if tag == "tr":
      self.cells.append([])
    if tag == "td":
      self.cells[-1].append(attrs.get("data-value"))

  def handle_endtag(self, tag):
    assert self._open.pop() == tag

  def handle_data(self, text):
    if self._open and self._open[-1] == "script":
      self.scripts.append(text)
    elif self._open and self._open[-1] in ("h2", "h3"):
      self.headings.append(text)
    elif self._open and self._open[-1] != "style":
      self.words.append(text)

  @property
  def figures(self):
    for script in self.scripts:
      if script.lstrip().startswith("const figures"):
        assert "<" not in script.split("// A finger")[0]
        body = re.search(r"= (\[.*?\n\]);", script, re.DOTALL)[1]
        return json.loads(re.sub(r",\s*\]$", "]", body))
    return []

  @property
  def pictures(self):
    return [a["alt"] for tag, a in self.attributes if tag == "img"]


def make(folder, x, settings, metrics=(), **data):
  """Runs a small sweep of trials with two code units; returns its page.

  Args:
    folder: of the run.
    x: data.
    settings: name -> values, as in `grid.product`; or several of them.
    metrics: what to measure.
    **data: labels and the like.
  """
  many = settings if isinstance(settings, list) else [settings]
  fixed = {"latent_size": [2], "seed": [0]} | SMALL
  points = [p for axes in many for p in grid.product(**fixed | axes)]
  results = ae_jax.run_sweep(
    points, x, folder=folder, metrics=metrics, progress=False, **data
  )
  return ParsedPage(results.report().path)


def check_safe(page):
  """Nothing is loaded, nothing of a user is markup, pictures have an alt."""
  for tag, attributes in page.attributes:
    for name in ("src", "href"):
      url = attributes.get(name)
      assert url is None or url.startswith(("data:", "#")), (tag, url)
    assert not any(name.startswith("on") for name in attributes)
  assert not {"b", "i", "iframe"} & {*page.tags}
  # Plotly, the figures (both only where there are some), and the sorting.
  assert page.tags.count("script") in (1, 3)
  assert not any("alert(1)" in script for script in page.scripts[:1])
  assert all(page.pictures)
  ids = [a["id"] for _, a in page.attributes if "id" in a]
  assert len(ids) == len({*ids})
  links = [a["href"] for tag, a in page.attributes if tag == "a"]
  assert {link.removeprefix("#") for link in links} == {*ids}
