"""Pictures for the documents: of what matters on a page, as a reader of theirs would see it.

Ports, ids and secrets differ from run to run; in a picture stand those of the document.
"""

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page

WIDTH, HEIGHT = 880, 700
_MARGIN = 16
#: Puts the words of a picture in the place of what stands on the page, in texts and in fields, and can undo it.
_REPLACE = """
(replacements) => {
  const told = (text) => replacements.reduce((so_far, [found, shown]) => so_far.replaceAll(found, shown), text);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const changed = [];
  const change = (holder, name) => {
    const was = holder[name], is = told(was);
    if (is !== was) { changed.push([holder, name, was]); holder[name] = is; }
  };
  while (texts.nextNode()) change(texts.currentNode, "nodeValue");
  const fields = document.querySelectorAll("textarea, input:not([type=hidden], [type=file])");
  fields.forEach((field) => change(field, "value"));
  window.undoPicture = () => changed.forEach(([holder, name, was]) => { holder[name] = was; });
}
"""


@dataclass
class Pictures:
    """Takes them of one browser page, into a folder; ``replacements``: what stands there, and what is shown instead."""

    page: Page
    folder: Path
    replacements: dict[str, str] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)

    def take(self, name: str, *, first: Locator | None = None, last: Locator | None = None, slim: bool = False) -> None:
        """From the top of ``first`` (else of the page) to the bottom of ``last`` (else of the content).

        In full width, or, where it is ``slim``, in that of ``first``.
        """
        page = self.page
        page.wait_for_load_state()
        page.evaluate(_REPLACE, list(self.replacements.items()))
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size(
            {"width": WIDTH, "height": height}
        )  # what sticks to the window's end covers nothing then
        left, top, right, _ = _edges(first) if first else (0, 0, WIDTH, 0)
        left, right = (left - _MARGIN, right + _MARGIN) if slim else (0, WIDTH)
        top = max(0, top - _MARGIN)
        bottom = _edges(last or page.locator("main > :last-child"))[3] + _MARGIN
        page.screenshot(
            path=self.folder / f"{name}.png",
            full_page=True,
            clip={"x": left, "y": top, "width": right - left, "height": bottom - top},
            animations="disabled",
            caret="hide",
        )
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        page.evaluate("window.undoPicture()")
        self.taken.append(name)


def _edges(element: Locator) -> tuple[int, int, int, int]:
    """Left, top, right and bottom on the page, in pixels, however far it is scrolled."""
    left, top, right, bottom = element.first.evaluate(
        "(e) => { const b = e.getBoundingClientRect(); return [b.left, b.top + scrollY, b.right, b.bottom + scrollY]; }"
    )
    return round(left), round(top), round(right), round(bottom)
