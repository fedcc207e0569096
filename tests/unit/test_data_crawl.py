"""data.crawl against a local site: robots.txt, links, traps, kills, and pages made to hurt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.hostile_http import Answer, Asked, Site, site

from modelyard.errors import InputError
from modelyard.methods.data.crawling import pages, robots, urls
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.egress import client
from modelyard.stages.data import crawl


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    waits: list[float] = []
    monkeypatch.setattr(client, "pause", waits.append)
    with site({"/robots.txt": lambda asked: Answer(b"", 404)}) as running:
        running.waits = waits  # type: ignore[attr-defined]
        yield running


def page(server: Site, path: str, body: str, status: int = 200, **headers: str) -> None:
    typed = {"content-type": "text/html; charset=utf-8"} | {name.replace("_", "-"): v for name, v in headers.items()}
    server.routes[path] = lambda asked: Answer(body.encode(), status, typed)


def links(*targets: str, text: str = "") -> str:
    return f"<p>{text or ' '.join(targets)}</p>" + "".join(f'<a href="{target}">l</a>' for target in targets)


def run(tmp_path: Path, server: Site, start: str = "/", **more: Any) -> FakeContext:
    context = FakeContext(tmp_path)
    wanted = {"start": [server.url + start], "contact": "li@example.org", "requests_per_second": 50} | more
    crawl.run(crawl.Config(**wanted), context)
    return context


def paths(context: FakeContext) -> list[str]:
    return [urls.target_of(row["url"]) for row in Dataset.open(context.output("data")).table("all").to_pylist()]


def skipped(context: FakeContext) -> dict[str, str]:
    rows = Dataset.open(context.output("skipped")).table("all").to_pylist()
    return {urls.target_of(row["url"]): row["reason"] for row in rows}


def test_pages_of_the_site_and_no_others(tmp_path: Path, server: Site) -> None:
    page(server, "/", links("/a", "b/", "http://example.org/x", "//example.org/y", "mailto:x@y", "/file.pdf", "/gone"))
    page(server, "/a", links("/", "/A", "/a?utm_source=x#part", "javascript:alert(1)", "http://[bad", text="Seite a"))
    page(server, "/b/", links("../a", "c", text="page b"))
    page(server, "/b/c", "<html lang=zh-CN><title> 标题\n一 </title><nav>menu</nav><p>正文</p><script>x</script>")
    context = run(tmp_path, server)
    assert paths(context) == ["/", "/a", "/b/", "/b/c"]
    assert skipped(context) == {"/gone": "no page", "/A": "no page"}
    row = Dataset.open(context.output("data")).table("all").to_pylist()[3]
    assert (row["title"], row["language"], row["text"]) == ("标题 一", "zh-CN", "正文")
    agents = {asked.headers["user-agent"] for asked in server.asked}
    assert agents == {"Mozilla/5.0 (compatible; modelyard; +li@example.org)"}
    assert "/file.pdf" not in server.paths()
    assert all(server.paths().count(path) == 1 for path in server.paths())


def test_robots_txt_is_obeyed_and_its_delay_too(tmp_path: Path, server: Site) -> None:
    rules = b"User-agent: *\nDisallow: /\n\nUser-agent: modelyard\nDisallow: /private\nAllow: /private/open$\nCrawl-delay: 7\n"  # noqa: E501 # fmt: skip
    server.routes["/robots.txt"] = lambda asked: Answer(rules)
    page(server, "/", links("/private/x", "/private/open", "/ok"))
    page(server, "/private/open", "<p>open")
    page(server, "/ok", "<p>ok")
    context = run(tmp_path, server)
    assert paths(context) == ["/", "/private/open", "/ok"]
    assert skipped(context) == {"/private/x": "robots.txt"}
    assert "/private/x" not in server.paths()
    waits = server.waits  # type: ignore[attr-defined]
    assert len(waits) == 2
    assert all(wait == pytest.approx(7, abs=0.5) for wait in waits[:1])
    assert any("7 seconds" in line for line in context.said)


@pytest.mark.parametrize("status", [500, 503])
def test_robots_txt_that_cannot_be_had_allows_nothing(tmp_path: Path, server: Site, status: int) -> None:
    server.routes["/robots.txt"] = lambda asked: Answer(b"", status)
    page(server, "/", "<p>hello")
    with pytest.raises(InputError, match=r"robots\.txt cannot be had"):
        run(tmp_path, server)
    assert "/" not in server.paths()


def test_a_site_that_is_closed_to_crawlers_gives_an_error(tmp_path: Path, server: Site) -> None:
    server.routes["/robots.txt"] = lambda asked: Answer(b"User-agent: *\nDisallow: /")
    with pytest.raises(InputError, match=r"not one page was kept \(robots.txt: 1\)"):
        run(tmp_path, server)


def test_what_pages_ask_of_robots(tmp_path: Path, server: Site) -> None:
    page(server, "/", links("/noindex", "/nofollow", "/noai", "/header", "/other", "/tdm"))
    page(server, "/noindex", '<meta name="Robots" content="NOINDEX, x">' + links("/from-noindex"))
    page(server, "/nofollow", '<meta name="modelyard" content="nofollow">' + links("/from-nofollow"))
    page(server, "/noai", '<meta name="robots" content="noai, noimageai"><p>text')
    page(server, "/header", "<p>text h", x_robots_tag="noarchive, none")
    page(server, "/other", "<p>text o", x_robots_tag="otherbot: noindex")
    page(server, "/tdm", "<p>text t", tdm_reservation="1")
    page(server, "/from-noindex", "<p>reached" + '<a rel="external nofollow" href="/no">x</a>')
    context = run(tmp_path, server)
    assert paths(context) == ["/", "/nofollow", "/other", "/from-noindex"]
    assert skipped(context) == dict.fromkeys(["/noindex", "/noai", "/header", "/tdm"], "asks not to be kept")
    assert not {"/from-nofollow", "/no"} & set(server.paths())


def test_redirects_are_asked_of_robots_and_do_not_leave_the_site(tmp_path: Path, server: Site) -> None:
    server.routes["/robots.txt"] = lambda asked: Answer(b"User-agent: *\nDisallow: /secret")
    page(server, "/", links("/in", "/out", "/to-secret", "/loop1", "/chain/0"))
    page(server, "/target", "<p>arrived")
    for path, target in {"/in": "/target", "/out": "http://localhost:1/x", "/to-secret": "/secret", "/loop1": "/loop2", "/loop2": "/loop1"}.items():  # noqa: E501 # fmt: skip
        server.routes[path] = lambda asked, target=target: Answer(b"", 301, {"location": target})
    for n in range(100):
        server.routes[f"/chain/{n}"] = lambda asked, n=n: Answer(b"", 302, {"location": f"/chain/{n + 1}"})
    context = run(tmp_path, server)
    assert paths(context) == ["/", "/target"]
    assert skipped(context)["/out"] == "leads elsewhere"
    assert skipped(context)["/secret"] == "robots.txt"
    assert "/secret" not in server.paths()
    assert skipped(context)["/chain/10"] == "too deep"


def test_endless_calendars_and_session_ids_end(tmp_path: Path, server: Site) -> None:
    def calendar(asked: Asked) -> Answer:
        month = int(asked.params.get("month", 0))
        body = links(f"/calendar?month={month + 1}&sid={month}", f"/calendar?month={month - 1}", text=f"month {month}")
        return Answer(body.encode(), 200, {"content-type": "text/html"})

    server.routes["/calendar"] = calendar
    page(server, "/", links("/calendar?month=0", "/x/y/x/y/x/y/"))
    context = run(tmp_path, server, max_of_a_kind=20, max_depth=1000)
    assert len(paths(context)) == 21
    assert skipped(context)["/x/y/x/y/x/y/"] == "endless path"
    assert "too many of a kind" in skipped(context).values()


def test_bounds_hold(tmp_path: Path, server: Site) -> None:
    for n in range(60):
        page(
            server, f"/p{chr(97 + n % 26)}{n}", links(*[f"/p{chr(97 + m % 26)}{m}" for m in range(n, 60)], text=f"t{n}")
        )
    context = run(tmp_path / "1", server, "/pa0", max_pages=7)
    assert len(paths(context)) == 7
    assert any("by `max_pages`" in line for line in context.said)
    assert len(paths(run(tmp_path / "2", server, "/pa0", max_requests=5))) == 5
    assert paths(run(tmp_path / "3", server, "/pa0", include=["/pb*"], exclude=["*27"])) == ["/pa0", "/pb1", "/pb53"]
    assert len(paths(run(tmp_path / "4", server, "/pa0", max_depth=0))) == 1


def test_a_killed_crawl_goes_on_and_ends_as_if_it_had_not_been(
    tmp_path: Path, server: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(30):
        page(server, f"/p{n}", links(f"/p{n + 1}", f"/p{n + 2}", text=f"text {n}"))
    whole = run(tmp_path / "whole", server, "/p0", max_depth=100)
    before = len(server.asked)

    class Killed(BaseException):
        pass

    def kill(self: FakeContext, done: int, total: int, what: str) -> None:
        if done == 12:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(FakeContext, "progress", kill)
        with pytest.raises(Killed):
            run(tmp_path / "killed", server, "/p0", max_depth=100)
    context = run(tmp_path / "killed", server, "/p0", max_depth=100)
    assert paths(context) == paths(whole)
    asked = [path for path in server.paths()[before:] if path.startswith("/p")]
    assert len(asked) == len(set(asked))
    files = [sorted((folder / "outputs").rglob("*.*")) for folder in (tmp_path / "whole", tmp_path / "killed")]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]


def test_equal_pages_are_kept_once(tmp_path: Path, server: Site) -> None:
    page(server, "/", links("/a", "/b", "/print", "/real"))
    page(server, "/a", "<p>same")
    page(server, "/b", "<p> same ")
    page(server, "/print", '<link rel="canonical" href="/real"><p>for print')
    page(server, "/real", '<link rel="canonical" href="/real"><p>for reading')
    context = run(tmp_path, server)
    assert paths(context) == ["/", "/a", "/print"]
    assert skipped(context) == {"/b": "repeats a page", "/real": "repeats a page"}


def test_sitemaps(tmp_path: Path, server: Site) -> None:
    server.routes["/robots.txt"] = lambda asked: Answer(f"Sitemap: {server.url}/index.xml\n".encode())
    listed = "".join(
        f"<sitemap><loc>{url}</loc></sitemap>" for url in (f"{server.url}/one.xml", "http://localhost:1/x.xml")
    )
    index = f"<sitemapindex>{listed}</sitemapindex>"
    found = (f"{server.url}/hidden?a=1&amp;b=2", f"{server.url}/one.xml")
    one = "<urlset>" + "".join(f"<url><loc> {url} </loc></url>" for url in found) + "</urlset>"
    page(server, "/index.xml", index, content_type="application/xml")
    page(server, "/one.xml", one, content_type="application/xml")
    page(server, "/", "<p>start")
    page(server, "/hidden", "<p>hidden")
    assert paths(run(tmp_path / "1", server, sitemap=True)) == ["/", "/hidden?a=1&b=2"]
    assert paths(run(tmp_path / "2", server)) == ["/"]


def test_hostile_answers_are_passed_over(tmp_path: Path, server: Site) -> None:
    page(server, "/", links("/big", "/pdf", "/deep", "/attributes", "/empty", "/cut", "/gbk", "/plain", "/fine"))
    page(server, "/big", "x" * 5_000)
    page(server, "/pdf", "%PDF", content_type="application/pdf")
    page(server, "/deep", "<div>" * 900)
    page(server, "/attributes", "<p " + " ".join(f"a{n}=1" for n in range(700)) + ">")
    page(server, "/empty", "<script>only()</script>")
    server.routes["/cut"] = lambda asked: Answer(
        b"<p>half", 200, {"content-type": "text/html", "content-length": "99"}, cut=5
    )
    gbk = "<meta charset=gbk><title>标题</title><p>简体中文".encode("gb18030")
    server.routes["/gbk"] = lambda asked: Answer(gbk, 200, {"content-type": "text/html"})
    page(server, "/plain", "a < b & c\n<p>", content_type="text/plain")
    page(server, "/fine", "<p>fine")
    context = run(tmp_path, server, max_page_bytes=4096)
    assert paths(context) == ["/", "/gbk", "/plain", "/fine"]
    why = skipped(context)
    assert {path: why[path] for path in ("/big", "/pdf", "/deep", "/attributes", "/empty", "/cut")} == {
        "/big": "not to be had",
        "/pdf": "no text",
        "/deep": "not to be had",
        "/attributes": "not to be had",
        "/empty": "no text",
        "/cut": "not to be had",
    }
    texts = [row["text"] for row in Dataset.open(context.output("data")).table("all").to_pylist()]
    assert texts[1] == "简体中文"
    assert texts[2] == "a < b & c\n<p>"


def test_a_site_that_stops_answering_stops_the_crawl(tmp_path: Path, server: Site) -> None:
    page(server, "/", links(*[f"/bad/{chr(97 + n)}" for n in range(15)]))
    for n in range(15):
        page(server, f"/bad/{chr(97 + n)}", "", 500)
    with pytest.raises(InputError, match="10 addresses one after the other gave no answer"):
        run(tmp_path, server)


HARD = {
    "nested": "<div>" * 200_000,
    "other ends": "<div></b>" * 100_000,
    "attributes": "<p " + " ".join(f"a{n}=1" for n in range(100_000)) + ">",
    "quoted": "<p " + 'a="<p" ' * 100_000,
}


@pytest.mark.parametrize("name", HARD)
def test_what_would_keep_the_parser_busy_is_refused(name: str) -> None:
    with pytest.raises(pages.TooHard):
        pages.read_page(HARD[name], {}, "modelyard")


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from(list("<>/ab \"'=!-\x00&;中")) , max_size=300))  # fmt: skip
def test_no_markup_breaks_the_reader(markup: str) -> None:
    found = pages.read_page(markup, {"x-robots-tag": markup}, "modelyard")
    assert "\x00" not in found.text


# RFC 9309 section 5 and what it says in 2.2.
RFC = b"""
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""


@pytest.mark.parametrize(
    ("agent", "path", "allowed"),
    [
        ("foobot", "/example/page.html", True),
        ("foobot", "/example/allowed.gif", True),
        ("foobot", "/", False),
        ("FooBot", "/x", False),
        ("barbot", "/example/page.html", False),
        ("bazbot", "/example/page.html", False),
        ("bazbot", "/example/other", True),
        ("quxbot", "/example/x", True),
        ("otherbot", "/a.gif", False),
        ("otherbot", "/a.gif?x", True),
        ("otherbot", "/publications/", True),
        ("otherbot", "/example/", False),
        ("otherbot", "/robots.txt", True),
    ],
)
def test_the_examples_of_rfc_9309(agent: str, path: str, allowed: bool) -> None:
    assert robots.parse(RFC, agent).allows(path) is allowed


@pytest.mark.parametrize(
    ("rules", "path", "allowed"),
    [
        ("Disallow: /a\nAllow: /a", "/a", True),
        ("Allow: /p\nDisallow: /", "/page", True),
        ("Allow: /folder\nDisallow: /folder/x", "/folder/x/y", False),
        ("Disallow: /*/b*/c$", "/a/bbb/c", False),
        ("Disallow: /*/b*/c$", "/a/bbb/cc", True),
        ("Disallow: /fish*", "/Fish.asp", True),
        ("Disallow: /a%3cd.html", "/a%3Cd.html", False),
        ("Disallow: /%7Ejoe/", "/~joe/index", False),
        ("Disallow: /中文", "/%E4%B8%AD%E6%96%87/x", False),
        ("Disallow:", "/x", True),
        ("disallow : /x # why", "/x", False),
        ("Disallow: /$", "/", False),
        ("Disallow: /$", "/x", True),
        ("nonsense\nDisallow /x\n<html>", "/x", True),
        ("Disallow: " + "*a" * 900, "/" + "a" * 800, True),
    ],
)
def test_rules_match_as_the_rfc_says(rules: str, path: str, allowed: bool) -> None:
    assert robots.parse(f"User-agent: *\n{rules}".encode(), "modelyard").allows(path) is allowed


@settings(max_examples=300, deadline=None)
@given(pattern=st.text(st.sampled_from("ab*"), max_size=8), ended=st.booleans(), path=st.text(st.sampled_from("ab"), max_size=8))  # noqa: E501 # fmt: skip
def test_wildcards_match_as_regular_expressions_do(pattern: str, ended: bool, path: str) -> None:
    expected = re.match("/" + pattern.replace("*", ".*") + ("$" if ended else ""), f"/{path}") is not None
    assert robots.Rule(False, f"/{pattern}" + ("$" if ended else "")).matches(f"/{path}") is expected


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_no_robots_txt_breaks_the_parser(body: bytes) -> None:
    assert robots.parse(body, "modelyard").allows("/robots.txt")


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("HTTP://Example.ORG:80/a/../b/./c#x", "http://example.org/b/c"),
        ("/%7euser/%e4%b8%ad", "http://example.org/~user/%E4%B8%AD"),
        ("/中 文?q=中", "http://example.org/%E4%B8%AD%20%E6%96%87?q=%E4%B8%AD"),
        ("?b=2&utm_source=x&a=1&PHPSESSID=abc", "http://example.org/dir/page?b=2&a=1"),
        ("//user:secret@example.org/x", "http://example.org/x"),
        ("x;jsessionid=1A?y=1", "http://example.org/dir/x?y=1"),
        ("../../../x", "http://example.org/x"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("ftp://example.org/x", None),
        ("http://[::1", None),
        ("http://example.org:99999/", None),
        ("javascript:alert(1)", None),
        ("x" * 3000, None),
    ],
)
def test_one_spelling_for_one_address(link: str, expected: str | None) -> None:
    assert urls.canonical("http://example.org/dir/page", link) == expected


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_canonical_addresses_stay_as_they_are(link: str) -> None:
    found = urls.canonical("http://example.org/a/b", link)
    if found is not None:
        assert urls.canonical(found, found) == found
        assert found.isascii()


@pytest.mark.parametrize("wrong", [{"contact": "me"}, {"start": []}, {"start": ["ftp://x/"]}, {"agent": "a b"}])
def test_settings_have_limits(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        crawl.Config(**({"start": ["http://x/"], "contact": "a@b.cc"} | wrong))


def test_starts_are_of_one_site(tmp_path: Path, server: Site) -> None:
    config = crawl.Config(start=[server.url, "http://example.org/"], contact="a@b.cc")
    with pytest.raises(InputError, match="several sites"):
        crawl.run(config, FakeContext(tmp_path))
