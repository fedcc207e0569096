"""data.http_api against a local server: every style of pages, kills, and servers that mean harm or are broken."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.hostile_http import Answer, FakeTime, in_turn, site

from modelyard.core.project import SecretName
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.egress import client
from modelyard.methods.data.paging import at, linked, lists_in
from modelyard.stages.data.http_api import Config, run

ROWS = [{"id": i, "text": f"row {i}", "user": {"name": f"u{i}"}} for i in range(23)]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    time = FakeTime()
    monkeypatch.setattr(client, "pause", time.sleep)
    return time


def go(folder, url, secrets=None, **settings):
    context = FakeContext(folder, secrets=secrets)
    settings = {"requests_per_second": 10_000, "text": "text", **settings}
    run(Config(url=url, **settings), context)
    return context, Dataset.open(folder / "outputs" / "data")


def reply(value, **more):
    return Answer(json.dumps(value).encode(), **more)


def by_number(asked, first=1, size=5):
    start = (int(asked.params.get("page", first)) - first) * size
    return reply({"data": {"items": ROWS[start : start + size]}})


def by_offset(asked):
    start, size = int(asked.params["offset"]), min(4, int(asked.params.get("limit", 4)))  # never more than 4
    return reply({"rows": ROWS[start : start + size], "total": len(ROWS) + start})  # a total that changes


def by_cursor(asked):
    start = int(asked.params.get("after", "c0")[1:])
    following = f"c{start + 6}" if start + 6 < len(ROWS) else None
    return reply({"rows": ROWS[start : start + 6], "meta": {"next": following}})


def by_link(asked):
    page = int(asked.params.get("p", 1))
    links = f'<https://other.example/first>; rel="first", </rows?p={page + 1}&q=a%2Cb>; rel="next"' if page < 5 else ""
    return reply(ROWS[(page - 1) * 5 : page * 5], headers={"Link": links})


def by_next_url(asked):
    page = int(asked.params.get("p", 1))
    return reply({"results": ROWS[(page - 1) * 5 : page * 5], "next": f"?p={page + 1}" if page < 5 else ""})


STYLES = {
    "page": (by_number, {"items": "data.items", "paging": {"style": "page"}}),
    "offset": (by_offset, {"items": "rows", "paging": {"style": "offset", "size": 10}}),
    "cursor": (by_cursor, {"items": "rows", "paging": {"style": "cursor", "parameter": "after", "next": "meta.next"}}),
    "link": (by_link, {"paging": {"style": "link"}}),
    "next_url": (by_next_url, {"items": "results", "paging": {"style": "next_url", "next": "next"}}),
}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_pages_gives_every_row_once_in_order(tmp_path, style):
    route, settings = STYLES[style]
    with site({"/rows": route}) as server:
        context, data = go(tmp_path, server.url + "/rows", **settings)
    assert data.column("all", "id") == list(range(23))
    assert data.column("all", "user.name")[7] == "u7"
    assert context.value("data.rows") == 23
    assert context.value("data.rejected_rate") == 0


@pytest.mark.parametrize("style", STYLES)
def test_a_killed_fetch_asks_for_no_page_twice_and_ends_in_the_same_bytes(tmp_path, style):
    route, settings = STYLES[style]
    with site({"/rows": route}) as server:
        _, calm = go(tmp_path / "calm", server.url + "/rows", **settings)
        calm_asked = [asked.params for asked in server.asked]
        server.asked.clear()
        left = [3]

        def dies(asked):
            left[0] -= 1
            return route(asked) if left[0] >= 0 else Answer(status=400)

        server.routes["/rows"] = dies
        with pytest.raises(InputError, match="400"):
            go(tmp_path / "rough", server.url + "/rows", **settings)
        server.asked.pop()  # the request that failed
        server.routes["/rows"] = route
        context, rough = go(tmp_path / "rough", server.url + "/rows", **settings)
        assert [asked.params for asked in server.asked] == calm_asked
    assert any("goes on" in line for line in context.said)
    assert rough.shards("all")[0].read_bytes() == calm.shards("all")[0].read_bytes()


def test_a_page_that_is_gone_ends_the_numbers_and_is_said(tmp_path):
    pages = in_turn(reply(ROWS[:5]), reply(ROWS[5:8]), Answer(b'{"detail": "Invalid page."}', 404))
    with site({"/": pages}) as server:
        context, data = go(tmp_path, server.url + "/", paging={"style": "page"})
    assert data.num_rows("all") == 8
    assert any("404" in line for line in context.said)


def test_a_first_page_that_is_not_there_is_an_error(tmp_path):
    with site() as server, pytest.raises(InputError, match="404"):
        go(tmp_path, server.url + "/", paging={"style": "page"})


@pytest.mark.parametrize("style", ["cursor", "next_url", "link", "page", "offset"])
def test_a_server_that_turns_in_a_circle_is_noticed(tmp_path, style):
    def circle(asked):
        place = str(asked.params.get("cursor") or asked.params.get("p") or "a")
        following = {"a": "b", "b": "c", "c": "a"}[place]
        body = {"rows": [{"text": place if style not in ("page", "offset") else "always"}]}
        body["next"] = following if style == "cursor" else f"/?p={following}"
        return reply(body, headers={"Link": f'</?p={following}>; rel="next"'})

    paging = {"style": style, **({"next": "next"} if style in ("cursor", "next_url") else {})}
    with site({"/": circle}) as server:
        with pytest.raises(InputError, match="again and again"):
            go(tmp_path, server.url + "/", items="rows", paging=paging, max_pages=40)
        assert len(server.asked) < 12


def test_one_cursor_for_all_pages_is_no_circle_while_the_rows_go_on(tmp_path):
    pages = [reply({"rows": ROWS[i : i + 4], "scroll": "same" if i < 20 else None}) for i in range(0, 23, 4)]
    with site({"/": in_turn(*pages)}) as server:
        _, data = go(tmp_path, server.url + "/", items="rows", paging={"style": "cursor", "next": "scroll"})
    assert data.num_rows("all") == 23


@pytest.mark.parametrize("style", ["link", "next_url"])
def test_the_next_page_must_be_on_the_same_host_unless_another_is_named(tmp_path, style):
    with site({"/more": lambda asked: reply({"rows": ROWS[5:7]})}) as other:
        body = reply(
            {"rows": ROWS[:5], "next": f"{other.url}/more"}, headers={"Link": f'<{other.url}/more>; rel="next"'}
        )
        with site({"/": lambda asked: body}) as server:
            paging = {"style": style, **({"next": "next"} if style == "next_url" else {})}
            with pytest.raises(InputError, match=f"another host: 127.0.0.1:{other.port}"):
                go(tmp_path / "refused", server.url + "/", items="rows", paging=paging)
            assert other.asked == []
            allowed = {**paging, "hosts": [f"127.0.0.1:{other.port}"]}
            _, data = go(tmp_path / "allowed", server.url + "/", items="rows", paging=allowed)
            assert data.num_rows("all") == 7


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/"])
def test_neither_redirects_nor_next_pages_lead_to_the_metadata_service(tmp_path, target):
    routes = {
        "/moved": lambda asked: Answer(status=302, headers={"Location": target}),
        "/next": lambda asked: reply({"rows": ROWS[:2], "next": target}),
    }
    with site(routes) as server:
        with pytest.raises(InputError, match="metadata"):
            go(tmp_path / "a", server.url + "/moved")
        host = target.split("/")[2]
        paging = {"style": "next_url", "next": "next", "hosts": [host.strip("[]")]}
        with pytest.raises(InputError, match="metadata"):
            go(tmp_path / "b", server.url + "/next", items="rows", paging=paging)


def test_a_server_that_is_sometimes_ill_gives_all_its_rows(tmp_path, no_waiting):
    good = {page: reply(ROWS[(page - 1) * 8 : page * 8]) for page in range(1, 5)}
    pages = in_turn(
        Answer(b"slow down", 429, {"Retry-After": "3"}), good[1], Answer(status=500), Answer(b'[{"id": 1', 200),
        good[2], Answer(b"x" * 90, cut=10), good[3], good[4],
    )  # fmt: skip
    with site({"/": pages}) as server:
        _, data = go(tmp_path, server.url + "/", paging={"style": "page"})
    assert data.column("all", "id") == list(range(23))
    assert no_waiting.slept[0] >= 3


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Answer(b"[" + b"1," * 300_000 + b"1]"), "larger than"),
        (Answer(status=302, headers={"Location": "/"}), "redirects"),
        (Answer(b"<html>log in</html>"), "not JSON"),
        (Answer(b'{"rows": 5}'), "no list of rows"),
        (Answer(b'"text"'), "no list of rows"),
        (Answer(b"[]"), "not one row"),
        (Answer(status=503), "503"),
    ],
)
def test_a_server_that_gives_no_rows_is_an_input_error(tmp_path, answer, found):
    with site({"/": in_turn(answer)}) as server, pytest.raises(InputError, match=found) as caught:
        go(tmp_path, server.url + "/", max_page_bytes=100_000, retries=2)
    assert f"127.0.0.1:{server.port}" in str(caught.value)


def test_the_places_of_lists_are_named_when_items_is_wrong(tmp_path):
    body = reply({"data": {"reviews": ROWS}, "tags": []})
    with site({"/": in_turn(body)}) as server, pytest.raises(InputError, match=r"data\.reviews, tags"):
        go(tmp_path, server.url + "/", items="data.review")


def test_rows_that_are_no_objects_are_kept(tmp_path):
    with site({"/": in_turn(reply(["plain", {"text": "good"}, {"text": "fine"}, 7]))}) as server:
        context, data = go(tmp_path, server.url + "/", max_bad_fraction=0.5)
    rejected = Dataset.open(tmp_path / "outputs" / "rejected").column("all", "raw")
    assert data.column("all", "text") == ["good", "fine"]
    assert ["plain" in raw for raw in rejected] == [True, False]
    assert context.value("data.rejected_rate") == 0.5


@pytest.mark.parametrize(("limit", "num_rows"), [({"max_rows": 7}, 7), ({"max_rows": 10}, 10), ({"max_pages": 2}, 10)])
def test_limits_stop_the_fetch_and_are_said(tmp_path, limit, num_rows):
    with site({"/": by_number}) as server:
        context, data = go(tmp_path, server.url + "/", items="data.items", paging={"style": "page"}, **limit)
    assert data.num_rows("all") == num_rows
    assert any(next(iter(limit)) in line for line in context.said)


@pytest.mark.parametrize("hint", [{"next": "/p2"}, {"meta": {"next": "x"}}])
def test_a_single_page_that_names_more_is_said(tmp_path, hint):
    with site({"/": in_turn(reply({"rows": ROWS, **hint}))}) as server:
        context, _ = go(tmp_path, server.url + "/", items="rows")
    assert any("names more" in line for line in context.said)


def test_credentials_are_sent_and_stand_nowhere(tmp_path):
    def echoes(asked):
        seen.append((asked.headers.get("authorization"), asked.headers.get("x-api-key"), asked.params.get("sig")))
        page = int(asked.params.get("p", 1))
        echo = f"/?p={page + 1}&sig={asked.params['sig']}&shown=1"
        return reply({"rows": ROWS[(page - 1) * 10 : page * 10], "next": echo if page < 3 else None})

    seen, stored = [], []
    secrets = {"T": "tok-one-1", "K": "key-two-2", "S": "sig/three+3"}
    settings = {
        "bearer": SecretName("T"), "headers": {"X-Api-Key": SecretName("K")}, "params": {"sig": SecretName("S")},
        "items": "rows", "paging": {"style": "next_url", "next": "next"},
    }  # fmt: skip
    with site({"/": echoes}) as server:
        context, data = go(tmp_path, server.url + "/", secrets, **settings)
        refusal = lambda asked: Answer(json.dumps(dict(asked.headers)).encode(), 403)  # noqa: E731
        server.routes["/"] = lambda asked: refusal(asked) if "p" in asked.params else echoes(asked)
        with pytest.raises(InputError) as caught:
            go(tmp_path / "refused", server.url + "/", secrets, **settings)
    assert data.num_rows("all") == 23
    assert set(seen) == {("Bearer tok-one-1", "key-two-2", "sig/three+3")}
    for file in tmp_path.rglob("*"):
        stored += [file.read_bytes()] if file.is_file() else []
    text = b"".join(stored).decode("latin-1") + str(caught.value) + "".join(context.said)
    for secret in (*secrets.values(), "sig%2Fthree%2B3"):
        assert secret not in text


def test_a_url_that_is_a_secret_is_used_and_stands_nowhere(tmp_path):
    seen = []

    def route(asked):
        seen.append((asked.headers.get("authorization"), asked.params))
        return by_number(asked)

    with site({"/": route}) as server:
        url = server.url.replace("http://", "http://ann:hunter22@") + "/?key=abcdef77"
        context, data = go(
            tmp_path, SecretName("URL"), {"URL": url}, items="data.items", paging={"style": "page"}
        )  # fmt: skip
    assert data.num_rows("all") == 23
    assert {(auth, params["key"]) for auth, params in seen} == {("Basic YW5uOmh1bnRlcjIy", "abcdef77")}
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    for secret in ("hunter22", "abcdef77", "YW5uOmh1bnRlcjIy"):
        assert secret not in stored.decode("latin-1") + "".join(context.said)


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "http://ann:hunter22@host/"},
        {"headers": {"Authorization": "Bearer hunter22"}},
        {"headers": {"X-API-Key": "hunter22"}},
        {"params": {"access_token": "hunter22"}},
    ],
)
def test_credentials_do_not_stand_in_the_file(settings):
    with pytest.raises(ValidationError) as caught:
        Config(**{"url": "http://host/", **settings})
    (error,) = caught.value.errors()
    assert error["type"] == "password_in_url"
    assert "hunter22" not in error["msg"]


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "ftp://host/x"}, {"url": "file:///etc/passwd"}, {"headers": {"X\r\nY": "1"}}, {"max_pages": 0},
        {"paging": {"style": "cursor"}}, {"paging": {"style": "link", "parameter": "p"}}, {"refresh": "sometimes"},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        Config(**{"url": "http://host/", **settings})


def test_a_header_that_http_cannot_hold_is_an_input_error(tmp_path):
    for value in ("naïve ✓", "two\r\nlines"):
        with site({"/": by_number}) as server, pytest.raises(InputError):
            go(tmp_path, server.url + "/", headers={"X-Note": value}, retries=0)


def test_places_in_a_body():
    body = {"a": {"b": [{"c": 1}, {"c": 2}]}, "d": [1]}
    assert at(body, "a.b.1.c") == 2
    assert [at(body, path) for path in ("a.x.y", "d.7", "d.x", "a.b.c")] == [None] * 4
    assert at(body, "") is body
    assert lists_in(body) == ["a.b", "d"]


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://x/?a=1,2>; rel="next"', "https://x/?a=1,2"),
        ("</p>; rel=next", "/p"),
        ('</a>; rel="prev", </b>; title="x"; rel="last next"', "/b"),
        ('</a>; rel="prev"', ""),
        ("", ""),
        ("<<<>>;;rel=", ""),
    ],
)
def test_link_headers_are_read(header, target):
    assert linked(header) == target


@pytest.mark.parametrize(
    "answer",
    [
        reply("asked /?sig=sig%2fthree%2B3"),
        reply({"x" * 35 + "sig/three+3": 1}),
        reply({"a": {"sig/three+3": [1]}}),
        Answer(rb'<a href="\/?sig=sig\/three+3">'),
        reply({"rows": ROWS, "next": "http://sig-three.sig%2Fthree%2B3.example/"}),
    ],
)
def test_what_a_server_echoes_shows_no_secret(tmp_path, answer):
    settings = {"params": {"sig": SecretName("S")}, "items": "rows", "paging": {"style": "next_url", "next": "next"}}
    with site({"/": in_turn(answer)}) as server, pytest.raises(InputError) as caught:
        go(tmp_path, server.url + "/", {"S": "sig/three+3"}, retries=0, **settings)
    said = str(caught.value).lower().replace("\\", "")
    assert not any(form in said for form in ("sig/th", "sig%2fth"))
