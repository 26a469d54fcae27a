"""SMART files, with the damage that is found in the public copies."""

import pytest

from instructor_jax.evaluation.local.smart_files import SmartRecord, smart_records

FILE = """\

.I 001
.T
a first
title .
.A
somebody, a.
.W
  one  line
.A
 that goes on
.W
and on
.K
key words
.X
1\t5\t1
.I 7
.W
only text, with a .W inside
"""


def test_text_goes_on_after_a_stray_marker_and_ends_at_a_real_one(tmp_path):
    path = tmp_path / "file"
    path.write_text(FILE)
    assert list(smart_records(path.read_text().split("\n"), path)) == [
        SmartRecord("001", "a first title .", "one line that goes on and on"),
        SmartRecord("7", "", "only text, with a .W inside"),
    ]


@pytest.mark.parametrize(
    ("content", "message"), [("text\n.I 1\n", "line 1: text before"), ("\n.I\n", "line 2: '.I' needs")]
)
def test_what_is_no_smart_file_is_refused(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        list(smart_records(path.read_text().split("\n"), path))
