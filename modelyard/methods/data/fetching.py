"""What stages that fetch rows (a database, an API) have in common, apart from the fetching: settings, ports, claims.

Light: stage files import it at module level. The rows themselves are the business of `arrival.py`.
"""

from __future__ import annotations

from urllib.parse import unquote

from pydantic import Field
from pydantic_core import PydanticCustomError

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.project import SecretName
from modelyard.core.stage import Port
from modelyard.methods.data.settings import ColumnRoles, Refresh

CLAIMS = (
    Claim("data.rows", "rows read", "rows", better="none", subject="lineage", any_split=True),
    Claim(
        "data.rejected_rate",
        "share of the rows fetched that could not be used",
        better="lower",
        subject="lineage",
        any_split=True,
    ),
)
OUTPUTS = {
    "data": Port("dataset", ("all",), description="the rows that can be used"),
    "rejected": Port("dataset", ("all",), side=True, description="the rows that cannot, with place and reason"),
}


class FetchSettings(ColumnRoles):
    """Settings of every stage that fetches rows from where nothing tells whether they changed."""

    refresh: Refresh = Field(
        "never",
        description="when to fetch anew: `never`, `always` (at each run), or after a time such as `30min`, `7d`",
    )
    max_rows: int | None = Field(None, ge=1, le=1 << 40, description="fetch at most so many rows")


def without_password(url: str | SecretName) -> str | SecretName:
    """A check of a setting that holds a URL: a password in it must stand in a secret instead.

    Raises:
        PydanticCustomError: of the type `password_in_url`, with which no message shows the value.
    """
    if isinstance(url, SecretName):
        return url
    user = url.partition("://")[2].partition("/")[0].rpartition("@")[0]
    if unquote(user.partition(":")[2]):
        raise PydanticCustomError(
            "password_in_url", "{why}", {"why": t("a URL without a password, or `{secret: NAME}`")}
        )
    return url
