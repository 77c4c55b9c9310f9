"""The documents name what there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_each_test_that_the_reliability_table_names_is_there():
    text = (ROOT / "docs" / "reliability.md").read_text()
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 20
    assert not [name for name in named if f"def {name}(" not in written]
    assert not [path for path in re.findall(r"`(tests/\S+?\.py)`", text) if not (ROOT / path).is_file()]
