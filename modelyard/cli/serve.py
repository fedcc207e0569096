"""`modelyard serve`: a release over HTTP."""

from __future__ import annotations

import sys
from typing import Any

import click

from modelyard.app.models import serve
from modelyard.base.messages import t
from modelyard.cli.options import profile_option, project_option


@click.command(
    "serve",
    help=t("Serve releases over HTTP (`POST /v1/models/NAME:predict`, TensorFlow Serving's form). MODELS are `name`, "
           "`name@3`, `name:alias`, a bundle's folder or a model folder."),
)  # fmt: skip
@click.argument("models", nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help=t("address to listen on"))
@click.option("--port", default=8000, type=click.IntRange(0, 65535), show_default=True, help=t("0 takes a free one"))
@click.option("--allow-remote", is_flag=True, help=t("allow an address other machines reach; there is no login yet"))
@click.option("--allowed-host", "allowed_hosts", multiple=True, help=t("a name accepted in the Host header"))
@click.option("--workers", default=None, type=click.IntRange(1, 64), help=t("batches computed at once"))
@click.option("--max-batch-rows", default=None, type=click.IntRange(1, 4096), help=t("rows computed together"))
@click.option("--max-queue-rows", default=None, type=click.IntRange(1, 1_000_000), help=t("rows waiting at most"))
@click.option("--deadline-ms", default=None, type=click.IntRange(1, 600_000), help=t("milliseconds until 504"))
@click.option("--max-body-bytes", default=None, type=click.IntRange(64, 1 << 28), help=t("bytes of a request"))
@click.option("--drain-delay-s", default=None, type=click.FloatRange(0, 600), help=t("seconds served after SIGTERM"))
@project_option()
@profile_option()
def command(
    models: tuple[str, ...], project: str | None, profile: str | None, allowed_hosts: tuple[str, ...], **given: Any
) -> None:
    from modelyard.serving import ServingSettings

    chosen = {name: value for name, value in given.items() if value is not None}
    settings = ServingSettings(allowed_hosts=allowed_hosts, **chosen)
    serve(models, settings, project=project, profile=profile, say=_say)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
