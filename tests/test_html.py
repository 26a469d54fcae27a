from html.parser import HTMLParser

from instructor_jax.html import Html, bar, cards, page, plot, section, table


class Outline(HTMLParser):
    """Which tags are open at the end, and where anything is loaded from."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_is_whole_and_loads_nothing() -> None:
    parts = [
        cards([("tasks", "3")]),
        section("A", "note", table(["x", ""], [["1", bar(1, 2)]], sortable=True)),
        section("B", "plot", plot(lambda axes: axes.plot([1, 2]), 2.0)),
    ]
    text = page("A < B", Html("<i>lead</i>"), parts)
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert all(source is not None and source.startswith("data:image/png;base64,") for source in outline.sources)
    assert "A &lt; B" in text
    assert "<i>lead</i>" in text
    assert "width:50.0px" in text
