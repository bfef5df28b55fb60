"""Bokeh's models as parts of a page that works from disk: its code inline, nothing from a network.

Plots and widgets are placed one by one, so that the page's own grid lays them out on any width,
and its style sheet gives them the theme.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bokeh.models import CustomJS, Model

# Widgets live in shadow trees, which a page's style sheet does not reach; its variables do.
WIDGET = """
:host { color: inherit; font: inherit; }
label, .bk-slider-title { font-size: 0.85rem; }
.bk-input { color: inherit; background-color: var(--pst-color-surface, transparent);
  border-color: var(--pst-color-text-muted, currentColor); font-size: 0.85rem; }
.bk-input option { color: var(--pst-color-text-base, CanvasText);
  background: var(--pst-color-surface, Canvas); }
.bk-input-group label { display: flex; gap: 0.4em; min-height: 24px; white-space: normal; }
"""


@dataclass(frozen=True)
class Library:
    """The code of Bokeh as a part of the page; it stands before whatever is `Embedded`."""

    def _repr_html_(self) -> str:
        from bokeh.resources import Resources

        inline = Resources(mode="inline", components=["bokeh", "bokeh-widgets"])
        return f'<div class="explore">{inline.render_js()}</div>'


@dataclass(frozen=True)
class Embedded:
    """A piece of a page with plots and widgets in it.

    Args:
        name: of the piece, unique in the page.
        roots: the plots and widgets, by the name of the place that each takes.
        layout: HTML with a `{place}` for each of them.
        start: what is run once all of them are there.
        labels: what screen readers call a slider, by its place.
    """

    name: str
    roots: Mapping[str, Model]
    layout: str
    start: CustomJS
    labels: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def document(self) -> str:
        """The models as the JSON that the page holds; Bokeh lets none be in two documents."""
        from bokeh.core.json_encoder import serialize_json
        from bokeh.document import Document

        document = Document(title=self.name)
        for model in self.roots.values():
            document.add_root(model)
        document.js_on_event("document_ready", self.start)
        return serialize_json(document.to_json(deferred=False))

    def _repr_html_(self) -> str:
        places = {place: f"{self.name}-{place}" for place in self.roots}
        boxes = {place: f'<div id="{id}"></div>' for place, id in places.items()}
        ids = {model.id: places[place] for place, model in self.roots.items()}
        render = {"docid": self.name, "roots": ids, "root_ids": list(ids)}
        labels = {places[place]: text for place, text in self.labels.items()}
        data = self.document.replace("<", "\\u003c")
        return f"""<div class="explore" id="{self.name}">
{self.layout.format(**boxes)}
<noscript>This needs JavaScript. The page All results has the same numbers as files.</noscript>
<script type="application/json">{data}</script>
<script>
(async () => {{
  const held = document.querySelector("#{self.name} script").textContent;
  await Bokeh.embed.embed_items({{"{self.name}": JSON.parse(held)}}, [{json.dumps(render)}]);
  // Bokeh does not name the handle of a slider.
  for (const [id, text] of Object.entries({json.dumps(labels)})) {{
    const handle = document.getElementById(id).firstElementChild.shadowRoot;
    handle.querySelector(".noUi-handle").setAttribute("aria-label", text);
  }}
}})();
</script>
</div>"""
