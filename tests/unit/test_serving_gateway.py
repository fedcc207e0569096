"""The door and the pages behind it: one table of routes, one error shape, declared limits, nothing from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import NAME, PREDICT, FakePredictor, Running, running

from modelyard.errors import ServingError
from modelyard.serving import ModelSource, ServingSettings
from modelyard.serving.endpoint import ModelSource as Source
from modelyard.serving.gateway import Gateway
from modelyard.serving.openapi import document
from modelyard.serving.server import sources
from modelyard.serving.settings import check_address


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


def test_predict_answers_in_tensorflow_servings_form_and_names_the_model(server: Running) -> None:
    answer = server.ask("POST", PREDICT, {"instances": [{"text": "abc"}, "ab"]})
    assert answer.status == 200
    assert answer.json() == {
        "predictions": [
            {"label": "pos", "scores": {"neg": 0.25, "pos": 0.75}},
            {"label": "neg", "scores": {"neg": 0.75, "pos": 0.25}},
        ]
    }
    assert answer.headers["x-model-name"] == NAME
    assert answer.headers["x-model-version"] == "1"
    assert answer.headers["x-model-digest"] == FakePredictor.digest
    columnar = server.ask("POST", f"/v1/models/{NAME}/versions/1:predict", {"inputs": {"text": ["abc", "ab"]}})
    assert columnar.json()["outputs"]["label"] == ["pos", "neg"]


def test_status_and_metadata_have_tensorflow_servings_fields(server: Running) -> None:
    status = server.ask("GET", f"/v1/models/{NAME}").json()["model_version_status"]
    assert [(entry["version"], entry["state"]) for entry in status] == [("1", "AVAILABLE")]
    metadata = server.ask("GET", f"/v1/models/{NAME}/versions/1/metadata").json()
    assert metadata["model_spec"]["name"] == NAME
    assert metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"].keys() == {"text"}
    assert metadata["modelyard"]["labels"] == ["neg", "pos"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("HEAD", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/", 307),
        ("GET", "/v1/models/other", 404),
        ("GET", "/v1/models/reviews/versions/2", 404),
        ("POST", "/v1/models/reviews/versions/2:predict", 404),
        ("GET", PREDICT, 405),
        ("PUT", PREDICT, 405),
        ("POST", "/healthz", 405),
        ("OPTIONS", "/docs", 405),
    ],
)
def test_each_address_answers_as_declared(server: Running, method: str, path: str, status: int) -> None:
    answer = server.ask(method, path)
    assert answer.status == status
    if status == 405:
        assert answer.headers["allow"] in ("POST", "GET, HEAD")
    if method == "HEAD":
        assert answer.body == b""
        assert int(answer.headers["content-length"]) > 0


def test_every_error_has_one_shape_and_shows_nothing_of_the_inside(server: Running) -> None:
    answers = [
        server.ask("GET", "/nowhere"),
        server.ask("PUT", "/docs"),
        server.ask("POST", PREDICT, b"{"),
        server.ask("POST", PREDICT, {"instances": [1]}),
        server.ask("POST", PREDICT, {"instances": ["explode"]}),
        server.ask("POST", PREDICT, {"instances": ["nan"]}),
    ]
    assert [answer.status for answer in answers] == [404, 405, 400, 400, 500, 500]
    for answer in answers:
        assert set(answer.json()) == {"error", "message", "trace"}
        assert answer.headers["x-trace-id"] == answer.json()["trace"]
        assert not re.search(rb"0x|Traceback|/etc|\.py|secret", answer.body)


@pytest.mark.parametrize("name", ["host", "origin"])
def test_pages_of_other_sites_cannot_use_a_browser_to_ask(server: Running, name: str) -> None:
    headers = {"host": {"Host": "evil.example"}, "origin": {"Origin": "http://evil.example"}}[name]
    assert server.ask("POST", PREDICT, {"instances": ["a"]}, headers).status == {"host": 421, "origin": 403}[name]
    own = {"Origin": f"http://127.0.0.1:{server.port}"}
    assert server.ask("POST", PREDICT, {"instances": ["a"]}, own).status == 200


def test_curls_default_content_type_is_accepted_and_others_are_not(server: Running) -> None:
    body = {"instances": ["a"]}
    for kind, status in [
        ("application/x-www-form-urlencoded", 200),
        ("application/json; charset=UTF-8", 200),
        ("application/json; charset=utf-16", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/octet-stream", 415),
    ]:
        assert server.ask("POST", PREDICT, body, {"Content-Type": kind}).status == status, kind


def test_metrics_count_requests_rows_errors_and_never_take_labels_from_clients(server: Running) -> None:
    before = server.ask("GET", "/metrics").body.decode()
    server.ask("POST", PREDICT, {"instances": ["a", "b", "c"]})
    server.ask("POST", "/v1/models/made-up-name:predict", {"instances": ["a"]})
    after = server.ask("GET", "/metrics").body.decode()

    def value(text: str, series: str) -> float:
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    for series, change in [
        ('modelyard_requests_total{model="reviews"}', 1),
        ('modelyard_rows_total{model="reviews"}', 3),
        ('modelyard_request_seconds_count{model="reviews"}', 1),
        ('modelyard_errors_total{code="not_found",model="-"}', 1),
    ]:
        assert value(after, series) - value(before, series) == change, series
    assert value(after, 'modelyard_queue_rows{model="reviews"}') == 0
    assert value(after, 'modelyard_in_flight{model="reviews"}') == 0
    assert value(after, "modelyard_ready") == 1
    assert "made-up-name" not in after


def test_the_docs_page_loads_nothing_from_anywhere(server: Running) -> None:
    answer = server.ask("GET", "/docs")
    page = answer.body.decode()
    assert "{{" not in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "@import" not in page
    assert "url(" not in page
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert PREDICT in page


def test_every_route_is_in_the_openapi_document_with_every_field_bounded() -> None:
    settings = ServingSettings()
    models = {"reviews": ModelSource(Path("m"), 3), "spam": ModelSource(Path("m"))}
    described = document(models, settings)
    routes = Gateway(models, settings).routes
    served = {(path, route.method.lower()) for path, route in routes.items()} - {
        ("/", "get"), ("/docs", "get"), ("/openapi.json", "get"),
    }  # fmt: skip
    assert {(path, method) for path, item in described["paths"].items() for method in item} == served
    names = [item["post"]["operationId"] for item in described["paths"].values() if "post" in item]
    assert len(names) == len(set(names)) == 4
    assert list(_unbounded(described)) == []
    assert (
        described["components"]["schemas"]["PredictRequest"]["oneOf"][0]["properties"]["instances"]["maxItems"] == 256
    )


def _unbounded(node: Any, where: str = "") -> Iterator[str]:
    """Schemas that let a client send without bound (RULES 2, 16)."""
    bounds = {
        "string": "maxLength",
        "array": "maxItems",
        "object": "maxProperties",
        "integer": "maximum",
        "number": "maximum",
    }
    if isinstance(node, dict):
        kind = node.get("type")
        if isinstance(kind, str) and bounds[kind] not in node:
            yield where
        for key, value in node.items():
            yield from _unbounded(value, f"{where}/{key}")
    elif isinstance(node, list):
        for value in node:
            yield from _unbounded(value, where)


def test_examples_of_requests_and_replies_fit_the_openapi_schemas(server: Running) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    described = server.ask("GET", "/openapi.json").json()

    def fits(name: str, value: object) -> bool:
        schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
        return bool(jsonschema.Draft202012Validator(schema).is_valid(value))

    for body in ({"instances": ["a", {"text": "b"}]}, {"inputs": {"text": ["a"]}}, {"inputs": ["a"]}):
        assert fits("PredictRequest", body)
        assert fits("PredictReply", server.ask("POST", PREDICT, body).json())
    assert not fits("PredictRequest", {"instances": [1]})
    assert fits("Error", server.ask("POST", PREDICT, {"instances": [1]}).json())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com"])
def test_an_address_others_can_reach_is_refused_unless_allowed_and_then_warned_about(host: str) -> None:
    with pytest.raises(ServingError) as caught:
        check_address(ServingSettings(host=host))
    assert "allow-remote" in str(caught.value)
    assert "authentication" in str(check_address(ServingSettings(host=host, allow_remote=True)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_flag(host: str) -> None:
    assert check_address(ServingSettings(host=host)) is None


@pytest.mark.parametrize("name", ["", "a/b", "a b", "..", "a:predict", "好", "a" * 200])
def test_a_name_that_cannot_stand_in_an_address_is_not_served(name: str) -> None:
    with pytest.raises(ServingError):
        sources({name: Path("m")})
    with pytest.raises(ServingError):
        sources({})


def test_while_loading_nothing_is_ready_but_the_process_lives() -> None:
    gateway = Gateway({"reviews": Source(Path("m"))}, ServingSettings())
    replies = []
    gateway.predict(gateway.routes[PREDICT], b'{"instances":["a"]}', replies.append)
    assert gateway.answer(gateway.routes["/healthz"]).status == 200
    for reply in (gateway.answer(gateway.routes["/readyz"]), *replies):
        assert reply.status == 503
        assert any(name == b"retry-after" for name, _ in reply.headers)
    status = json.loads(gateway.answer(gateway.routes["/v1/models/reviews"]).body)
    assert status["model_version_status"][0]["state"] == "LOADING"
