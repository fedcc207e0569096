"""The predictor: requests several at a time, no faster than agreed, within a budget, and never twice for one record."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from modelyard.base.canonical import canonical_json, digest_json
from modelyard.base.files import write_cache
from modelyard.base.messages import t
from modelyard.errors import InputError, ModelyardError
from modelyard.methods.data.egress import Egress, Limits, StillBusy, Telling
from modelyard.methods.data.endpoint.asking import Budget
from modelyard.methods.runtimes.asking.forms import Form, Said
from modelyard.methods.runtimes.predictor import Prediction, Record
from modelyard.methods.runtimes.recorded import Kept, answer_of, key_of

MOST_FAILURES = 5
REFUSED = "refused by the endpoint"


@dataclass(frozen=True)
class Service:
    """Where is asked and how hard.

    Attributes:
        name: as a reader knows it: host and model.
        key: sent as bearer token.
        requests_per_second: in all; None: as fast as it answers.
        attempts: how often a record is asked whose answer is none.
    """

    name: str
    key: str | None = None
    requests_per_second: float | None = 5.0
    workers: int = 4
    attempts: int = 2
    timeout_s: float = 120.0


@dataclass
class Bill:
    """What was spent, in requests and tokens; `cached`: answers that were there already."""

    requests: int = 0
    cached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    unknown: int = 0


class EndpointPredictor:
    """Implements `Predictor` over HTTP; a context manager. Answers are kept in `cache`: the next one asks no more.
    `say` is told when it waits, and why.

    Attributes:
        bill: spent so far.
        spent: whether the budget ended the questions; records that were not asked about have no answer.
        reasons: why there is no answer, and how often.
    """

    def __init__(
        self, form: Form, service: Service, task: str, labels: Sequence[str], budget: Budget, cache: Path,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:  # fmt: skip
        self.task, self.labels = task, tuple(labels)
        self.digest = digest_json({"endpoint": service.name, "form": repr(form)})
        self.runtime = f"endpoint {service.name}"
        self.bill, self.spent = Bill(), False
        self.reasons: dict[str, int] = {}
        self._form, self._service, self._budget, self._cache = form, service, budget, cache
        self._telling = Telling(service.name, say)
        self._open = ExitStack()
        self._clients = [self._open.enter_context(self._client()) for _ in range(service.workers)]
        self._failures, self._lock = 0, threading.Lock()
        cache.mkdir(parents=True, exist_ok=True)

    def _client(self) -> Egress:
        service = self._service
        limits = Limits(
            read_s=service.timeout_s,
            whole_s=2 * service.timeout_s,
            requests_per_second=service.requests_per_second / service.workers if service.requests_per_second else None,
            max_bytes=8 << 20,
            max_wait_s=service.timeout_s,
            patience_s=2 * service.timeout_s,
        )
        headers = {"authorization": f"Bearer {service.key}"} if service.key else {}
        return Egress(limits, secrets=[service.key] if service.key else [], headers=headers, tell=self._telling)

    def __enter__(self) -> EndpointPredictor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._open.close()

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        return [answer_of(self.task, one.answer, self.labels) for one in self.ask(records, lambda done, total: None)]

    def ask(self, records: Sequence[Record], note: Callable[[int, int], None]) -> Iterator[Kept]:
        """What was said to each record, in order. Once the budget is spent nothing more is asked.

        Raises InputError if the service refuses several records one after the other, or goes on asking to wait.
        """
        with ThreadPoolExecutor(len(self._clients)) as pool:
            place = 0
            while place < len(records):
                wave = records[place : place + len(self._clients)]
                yield from pool.map(self._about, wave, self._clients)
                place += len(wave)
                note(place, len(records))

    def _about(self, record: Record, client: Egress) -> Kept:
        url, body = self._form.request(record)
        path = self._cache / digest_json({"url": url, "body": body}).rpartition(":")[2]
        there = _read(path)
        if there is not None:
            kept, reason = there
            return self._count(replace(kept, key=key_of(record)), reason, cached=True)
        said, seconds = Said(None, REFUSED), 0.0
        tokens: list[tuple[int | None, int | None]] = []
        for _ in range(self._service.attempts):
            if not self._may_ask():
                return Kept(key_of(record), None, seconds)
            said = self._send(url, body, client)
            seconds = client.waited
            tokens.append((said.tokens_in, said.tokens_out))
            if said.answer is not None:
                break
        found = Kept(key_of(record), said.answer, round(seconds, 6), *_summed(tokens))
        if said.reason != REFUSED or said.answer is not None:
            write_cache(path, canonical_json({"kept": asdict(found), "reason": said.reason}))
        return self._count(found, said.reason, cached=False)

    def _may_ask(self) -> bool:
        """One more request, counted before it is sent so that the budget holds whatever is under way."""
        budget, bill = self._budget, self.bill
        with self._lock:
            cost = budget.cost(bill.tokens_in, bill.tokens_out)
            if bill.requests >= budget.max_requests or (budget.max_cost is not None and cost >= budget.max_cost):
                self.spent = True
                return False
            bill.requests += 1
            return True

    def _send(self, url: str, body: Any, client: Egress) -> Said:
        try:
            reply = client.post_json(url, body, idempotent=True)
            said = self._form.read(json.loads(reply.masked(reply.text())))
        except StillBusy as error:
            raise self._given_up(error) from error
        except InputError as error:
            # One record refused (too long, filtered) is that record's; several one after the other are the service's.
            with self._lock:
                self._failures += 1
                if self._failures >= MOST_FAILURES:
                    raise self._given_up(error) from error
            return Said(None, REFUSED)
        with self._lock:
            self._failures = 0
        self._telling.over()
        return said

    def _given_up(self, error: InputError) -> ModelyardError:
        """The same error; what was answered before it is not lost."""
        kept = sum(1 for _ in self._cache.iterdir())
        if not kept:
            return error
        words = t("{n:,} answers are kept: run it again to go on", n=kept)
        return InputError.of([replace(one, remedy=f"{one.remedy}; {words}" if one.remedy else words)
                              for one in error.problems])  # fmt: skip

    def _count(self, kept: Kept, reason: str, cached: bool) -> Kept:
        with self._lock:
            self.bill.cached += cached
            if kept.answer is None:
                self.reasons[reason] = self.reasons.get(reason, 0) + 1
            if kept.tokens_in is None or kept.tokens_out is None:
                self.bill.unknown += kept.answer is not None
            else:
                self.bill.tokens_in += kept.tokens_in
                self.bill.tokens_out += kept.tokens_out
            if self.bill.unknown and self._budget.max_cost is not None:
                raise InputError(
                    t("the endpoint does not tell the tokens it used (`usage`): `max_cost` cannot be kept"),
                    where=self._service.name,
                    remedy=t("take `max_requests` alone as the bound, or another endpoint"),
                )
        return kept


def _summed(tokens: Sequence[tuple[int | None, int | None]]) -> tuple[int | None, int | None]:
    """Over all attempts; None if one did not tell."""
    if any(one is None or two is None for one, two in tokens):
        return None, None
    return sum(one or 0 for one, _ in tokens), sum(two or 0 for _, two in tokens)


def _read(path: Path) -> tuple[Kept, str] | None:
    """What was said, and why it is no answer if it is none."""
    try:
        value = json.loads(path.read_bytes())
        return Kept(**value["kept"]), str(value["reason"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
