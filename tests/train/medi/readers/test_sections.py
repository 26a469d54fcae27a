"""Documents fall into sections at their headings, and only there."""

from instructor_jax.train.medi.readers.sections import Section, markdown_sections, plain_markdown, rst_sections

MARKDOWN = """before any heading
# Guide
Intro with a [link](https://example.org) and ![picture](x.png).

```sh
# not a heading
```

## The `first` step ##
~~~~
## nor this
```
~~~~
> ### quoted, not a heading
<!-- hidden comment --> after

## Empty
"""

RST = """
Top
===

Text one.

.. _target: https://example.org

Below
-----
See :pep:`8`, :rfc:`822`, `the site <https://example.org>`_ and :func:`len` [1]_.

Example::

    not a heading
    -------------

========
Over-top
========
Another level, but -----
"""


def test_markdown_headings_in_code_are_content():
    assert markdown_sections(MARKDOWN) == [
        Section(1, "Guide", "Intro with a link and picture.\n\n```sh\n# not a heading\n```"),
        Section(2, "The `first` step", "~~~~\n## nor this\n```\n~~~~\n> ### quoted, not a heading\n after"),
        Section(2, "Empty", ""),
    ]


def test_plain_markdown_keeps_code_and_drops_what_is_for_the_page():
    text = '<a id="x"></a>Use `Vec<T>` as in [the book][book].\n\n```rust\n{{#include x.rs}}\n```\n\n[book]: https://x.org\n'
    assert plain_markdown(text) == "Use `Vec<T>` as in the book."


def test_rst_sections_levels_follow_their_first_use():
    assert rst_sections(RST) == [
        Section(1, "Top", "Text one."),
        Section(
            2,
            "Below",
            "See PEP 8, RFC 822, the site and len.\n\nExample::\n\n    not a heading\n    -------------",
        ),
        Section(3, "Over-top", "Another level, but -----"),
    ]


def test_documents_without_headings_have_no_sections():
    assert markdown_sections("plain text") == []
    assert rst_sections("plain text\nmore") == []
