"""Hide personal data: names, phones, addresses, identity numbers, cards, secrets and more, in Chinese and English.

Texts are scanned by recognisers with check digits and context (and a model, if you name one); each find is replaced by
a label, a mask, a keyed hash, a pseudonym, a token that the key can open, or nothing. Images lose EXIF, GPS, XMP and
comments, pixels unchanged. `removed` holds row, type and place of what was hidden, never the value. It hides what it
finds, not all there is: measure it with evaluate.privacy_recall.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.project import SecretName
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.privacy.settings import Scanning, Type

if TYPE_CHECKING:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.privacy.actions import Actions
    from modelyard.methods.privacy.deidentifying import Outcome

Act = Literal["label", "mask", "hash", "pseudonym", "token", "remove", "keep"]
ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class Config(Scanning):
    """Settings of data.deidentify."""

    columns: list[ColumnName] | None = Field(
        None,
        min_length=1,
        description="string columns to scan; without it the text and all other columns without a role",
    )
    action: Act = Field(
        "label",
        description="`label`: [PHONE]; `mask`: stars, length and separators stay; `hash`, `pseudonym`: the same for "
        "the same value, with the key; `token`: can be opened with the key; `remove`: nothing stays",
    )
    actions: dict[Type, Act] = Field({}, description="another action for some types; `keep` leaves them as they are")
    key: SecretName | None = Field(
        None, description="`{secret: NAME}` of at least 32 random bytes, for hash, pseudonym and token"
    )
    images: Literal["strip", "keep"] = Field("strip", description="EXIF, GPS, XMP, IPTC and comments of image columns")
    profiles: Literal["keep", "remove"] = Field("keep", description="colour profiles (ICC) of images")
    broken_images: Literal["remove", "keep"] = Field(
        "remove", description="rows with an image that cannot be followed to its end: its metadata are unknown"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.privacy.deidentifying import Work, deidentify

    data = Dataset.open(context.input("data"))
    texts, images = _columns(config, data, context)
    work = Work(
        texts=texts,
        images=images if config.images == "strip" else (),
        scanner=config.scanner(context.base),
        actions=_actions(config, context),
        keep_profile=config.profiles == "keep",
        keep_broken=config.broken_images == "keep",
    )
    found = deidentify(
        data,
        "all",
        work,
        context.output("data"),
        context.output("removed"),
        lambda done, total: context.progress(done, total, "rows"),
    )
    _tell(context, found)


def _columns(config: Config, data: Dataset, context: Context) -> tuple[list[str], list[str]]:
    """String columns to scan, image columns to strip. What is left out is said."""
    from modelyard.base.messages import did_you_mean, t
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import ROW_ID

    strings = [
        column.name for column in data.columns if column.type in ("string", "large_string") and column.name != ROW_ID
    ]
    images = [column.name for column in data.columns if column.role == "image"]
    for name in config.columns or ():
        if name not in strings:
            raise InputError(
                t("no string column is called `{name}`", name=name), where="columns", remedy=did_you_mean(name, strings)
            )
    roles = {column.name: column.role for column in data.columns}
    texts = config.columns or [name for name in strings if roles[name] in ("text", "other")]
    left_out = [name for name in strings if name not in texts]
    if left_out:
        context.say(
            t("not scanned: {names}; name them in `columns` if they hold personal data", names=", ".join(left_out))
        )
    if not texts and not images:
        raise InputError(t("no column to scan"), where="data.deidentify", expected=t("a string or an image column"))
    return list(texts), images


def _actions(config: Config, context: Context) -> Actions:
    from modelyard.base.messages import t
    from modelyard.methods.privacy.actions import Actions
    from modelyard.methods.privacy.keys import Key, fingerprint

    key = Key.of(context.secret(config.key.secret), where=config.key.secret) if config.key else None
    if key:
        context.say(t("key {fingerprint}", fingerprint=fingerprint(key)))
    return Actions(config.action, {str(kind): act for kind, act in config.actions.items()}, key)


def _tell(context: Context, found: Outcome) -> None:
    from modelyard.base.messages import t

    found.account.tell(context)
    n = max(1, found.account.num_in)
    if found.metadata:
        kinds = ", ".join(f"{t(kind)} {count:,}" for kind, count in found.metadata.most_common())
        context.say(t("taken out of images: {kinds}", kinds=kinds))
    context.measure("data.personal_data_found_rate", found.rows_with / n, about="data", on="", n=n, interval="exact")
    for kind, count in sorted(found.found.items()):
        context.measure(
            "data.personal_data_found", count, about="data", on="", n=n, interval="exact", slice={"type": kind}
        )
    context.measure("data.personal_data_found", found.found.total(), about="data", on="", n=n, interval="exact")
    context.measure("data.personal_data_left", found.left, about="data", on="", n=n, interval="exact")
    if found.later:
        context.say(t("{n:,} finds only appeared when others were hidden; they were hidden too", n=found.later))
    if found.left:
        context.say(t("{n:,} finds are left after all rounds", n=found.left))


def fingerprint(config: Config, base: Path) -> Json:
    """Which named-entity model is asked, if one is named."""
    from modelyard.methods.privacy.entity_models import fingerprint_of

    return fingerprint_of(config.model, base)


def _claim(name: str, description: str, better: Literal["higher", "lower", "none"]) -> Claim:
    return Claim(name, description, better=better, subject="lineage", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",), description="texts, or images, or both")},
    outputs={
        "data": Port("dataset", ("all",), description="the same rows with personal data hidden"),
        "removed": Port(
            "dataset", ("all",), side=True, description="row, type and place of what was hidden; no values"
        ),
    },
    claims=(
        *CLAIMS,
        _claim(
            "data.personal_data_found_rate", "share of the rows in which personal data was found and hidden", "none"
        ),
        _claim("data.personal_data_found", "values hidden; by type", "none"),
        _claim("data.personal_data_left", "values that a last scan still finds in what goes out", "lower"),
    ),
    libraries=("pyarrow", "cryptography", "numpy", "onnxruntime", "tokenizers"),
    external=("model",),
    fingerprint=fingerprint,
)
