"""Crawl one site politely: its pages' own texts, with address, title and language.

robots.txt (RFC 9309) and `Crawl-delay` are obeyed, and so are `noindex`, `nofollow` and `noai` of a page; a robots.txt
that cannot be had allows nothing. Only pages of the site that is named are asked for, one at a time, with `contact` in
every request. Addresses that never end are bounded. A crawl that was killed goes on where it was. What was passed over
stands in `skipped` with the reason. That a page may be read does not say that it may be used: look at its licence.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.settings import Provenance, Refresh

Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+", max_length=2_000)]
Pattern = Annotated[str, Field(min_length=1, max_length=500)]


class Config(BaseModel):
    """Settings of data.crawl."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: list[Url] = Field(min_length=1, max_length=1_000, description="addresses to begin with, all of one site")
    contact: str = Field(
        pattern=r"^(https?://[!-~]+|[!-~]+@[!-~]+\.[!-~]+)$",
        max_length=200,
        description="e-mail or page of who crawls: every request says it, so that the site's owner can complain",
    )
    agent: str = Field(
        "modelyard", pattern="^[A-Za-z_-]{1,40}$", description="the name robots.txt may call this crawler by"
    )
    requests_per_second: float = Field(1.0, ge=0.001, le=50, description="at most; `Crawl-delay` can only slow it down")
    max_pages: int = Field(1_000, ge=1, le=10_000_000, description="pages kept at most")
    max_requests: int = Field(10_000, ge=1, le=100_000_000, description="addresses asked for at most")
    max_depth: int = Field(10, ge=0, le=1_000, description="links from a start at most")
    max_of_a_kind: int = Field(
        500, ge=1, le=10_000_000, description="addresses at most that differ in digits or values of parameters only"
    )
    max_page_bytes: int = Field(2 << 20, ge=1_024, le=64 << 20, description="a larger page is passed over; bytes")
    include: list[Pattern] = Field([], description="only paths that match one, besides the starts: `/news/*`")
    exclude: list[Pattern] = Field([], description="no paths that match one: `*/print/*`")
    sitemap: bool = Field(False, description="also ask for what the site's sitemaps list")
    refresh: Refresh = Field("never", description="when to crawl anew: `never`, `always`, or after a time such as `7d`")
    provenance: Provenance = Field(Provenance(), description="licence, consent and purpose, for the datasheet")


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.crawling.table import write_pages, write_skipped
    from modelyard.methods.data.crawling.visiting import Visit, crawl

    visit = Visit(
        start=config.start,
        agent=config.agent,
        contact=config.contact,
        requests_per_second=config.requests_per_second,
        max_pages=config.max_pages,
        max_requests=config.max_requests,
        max_depth=config.max_depth,
        max_of_a_kind=config.max_of_a_kind,
        max_page_bytes=config.max_page_bytes,
        include=config.include,
        exclude=config.exclude,
        sitemap=config.sitemap,
    )
    frontier = crawl(
        visit,
        context.scratch() / "crawl.sqlite",
        context.say,
        lambda done, total: context.progress(done, total, "pages"),
    )
    try:
        rows, asked = write_pages(frontier, context.output("data")), frontier.num_asked
        reasons = write_skipped(frontier, context.output("skipped"))
    finally:
        frontier.close()
    kinds = ", ".join(f"{t(reason)}: {n:,}" for reason, n in reasons.most_common())
    if not rows:
        raise InputError(t("not one page was kept ({kinds})", kinds=kinds), where=config.start[0])
    context.say(t("{n:,} pages kept; passed over, kept in `skipped`: {kinds}", n=rows, kinds=kinds or "-"))
    context.measure("data.rows", rows, about="data", on="", n=rows, unit="rows", interval="exact")
    missed = max(0, asked - rows)
    context.measure("data.rejected_rate", missed / asked, about="data", on="", n=asked, interval="exact")


STAGE = Stage(
    config=Config,
    run=run,
    outputs={
        "data": Port("dataset", ("all",), description="the pages, with `url`, `title`, `language` and `text`"),
        "skipped": Port("dataset", ("all",), side=True, description="the addresses that gave no row, with the reason"),
    },
    claims=(
        Claim("data.rows", "pages kept", "rows", better="none", subject="lineage", any_split=True),
        Claim(
            "data.rejected_rate",
            "share of the addresses asked for that gave no row",
            better="none",
            subject="lineage",
            any_split=True,
        ),
    ),
    libraries=("pyarrow", "selectolax"),
    refresh="refresh",
)
