"""A model that a service of ours answers for: the settings of `evaluate.endpoint` are read from its metadata."""

from __future__ import annotations

import re
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError

OURS = re.compile(r"(https?://[^\s?#]+/v1/models/[^/:?#]+)(:predict)?/?")
WAIT_S = 20.0


def settings_of(url: str) -> dict[str, Any]:
    """Settings for a service in TensorFlow Serving's form, as `modelyard serve` is one; only the address for others.

    Raises InputError if such a service does not say what its model is.
    """
    ours = OURS.fullmatch(url)
    if ours is None:
        return {"endpoint": url}
    about = _metadata(f"{ours[1]}/metadata")
    numbers = str(about.get("task", "")).endswith("regression")
    found = {
        "endpoint": f"{ours[1]}:predict",
        "task": about.get("task"),
        "body": {"instances": ["{record}"]},
        "answer": "predictions.0.value" if numbers else "predictions.0.label",
    }
    return found if numbers else {**found, "classes": about.get("labels"), "scores": "predictions.0.scores"}


def _metadata(url: str) -> dict[str, Any]:
    from modelyard.methods.data.egress.client import Egress
    from modelyard.methods.data.egress.limits import Limits

    with Egress(Limits(read_s=WAIT_S, whole_s=WAIT_S, retries=1)) as client:
        reply = client.get_json(url).json()
    about = reply.get("modelyard") if isinstance(reply, dict) else None
    if not isinstance(about, dict):
        raise InputError(
            t("the service does not say what its model is"),
            where=url,
            expected=t("a service started by `modelyard serve`"),
            remedy=t("describe it: `--set steps.model.with.body={{…}}`, `answer`, `classes`"),
        )
    return about
