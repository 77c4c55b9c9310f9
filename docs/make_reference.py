"""Writes docs/profile-reference.md from the profile's schema: python -m docs.make_reference"""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.profile import Profile

PAGE = Path(__file__).parent / "profile-reference.md"
HEAD = """# Profile reference

One TOML file is one run. Keys that are not given have the default; unknown keys are refused. Made from the schema in
`core/profile.py` by `make docs`.
"""


def reference() -> str:
    """The page, as Markdown."""
    parts = [HEAD]
    for name, field in Profile.model_fields.items():
        table = field.annotation
        assert isinstance(table, type) and issubclass(table, BaseModel)
        parts.append(f"\n## [{field.alias or name}]\n\n| key | values | default | meaning |\n| --- | --- | --- | --- |")
        parts += [
            f"| `{key}` | {_values(item)} | {_default(item)} | {_cell(item.description or '')} |"
            for key, item in table.model_fields.items()
        ]
    return "\n".join(parts) + "\n"


def _values(field: FieldInfo) -> str:
    annotation = field.annotation
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(annotation))
    if annotation is bool:
        return "`true`, `false`"
    kind = (
        "array"
        if typing.get_origin(annotation) is tuple
        else {"str": "string"}.get(annotation.__name__, annotation.__name__)
    )
    signs = {Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<")}
    bounds = [
        f"{sign} {getattr(limit, name)}"
        for kind_of_limit, (name, sign) in signs.items()
        for limit in field.metadata
        if isinstance(limit, kind_of_limit)
    ]
    return " ".join([kind, ", ".join(bounds)]).strip()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = list(field.default) if isinstance(field.default, tuple) else field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
