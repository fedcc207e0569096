"""The questions sent: several at a time, no faster than agreed, within a budget, and never twice for the same row."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.egress import Egress, HttpCache, Limits, StillBusy, Telling
from modelyard.methods.data.egress.reply import masked_url
from modelyard.methods.data.endpoint import answering, prompting
from modelyard.methods.data.endpoint.answering import Answer, Completion
from modelyard.methods.data.endpoint.prompting import Question

MOST_FAILURES = 5
MILLION = 1_000_000


@dataclass(frozen=True)
class Budget:
    """What may be spent: requests, and money at prices per million tokens."""

    max_requests: int
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self.price_in + tokens_out * self.price_out) / MILLION


@dataclass
class Bill:
    """What was spent, answers from the cache of a killed run included.

    Attributes:
        unknown: requests whose answer did not tell its tokens.
        dearest: cost of the dearest request.
        models: what the endpoint says answered, and how often.
    """

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    unknown: int = 0
    dearest: float = 0.0
    models: Counter[str] = field(default_factory=Counter)

    def add(self, answer: Completion, budget: Budget) -> None:
        self.requests += 1
        self.models[answer.model] += 1
        if answer.tokens_in is None or answer.tokens_out is None:
            self.unknown += 1
            return
        self.tokens_in += answer.tokens_in
        self.tokens_out += answer.tokens_out
        self.dearest = max(self.dearest, budget.cost(answer.tokens_in, answer.tokens_out))

    def cost(self, budget: Budget) -> float:
        return budget.cost(self.tokens_in, self.tokens_out)


@dataclass(frozen=True)
class Endpoint:
    """Where and how is asked.

    Attributes:
        url: of the API, without `/chat/completions`.
        attempts: how often one row is asked, if the answer is none.
        workers: requests under way at once.
        extra: fields of the request besides the usual ones.
    """

    url: str
    model: str
    key: str | None = None
    requests_per_second: float = 5.0
    workers: int = 4
    attempts: int = 2
    max_tokens: int = 256
    timeout_s: float = 120.0
    extra: Mapping[str, Any] = field(default_factory=dict)


class Asker:
    """Asks about texts; a context manager. `say` is told when it waits, and why.

    Attributes:
        bill: what was spent so far.
        spent: whether the budget ended the questions.
    """

    def __init__(
        self, endpoint: Endpoint, question: Question, budget: Budget, seed: int, cache: Path,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:  # fmt: skip
        self._endpoint, self._question, self._budget, self._seed = endpoint, question, budget, seed
        self._cache, self._telling = HttpCache(cache), Telling(masked_url(endpoint.url), say)
        self._letters = question.letters()
        self.bill, self.spent = Bill(), False
        self._open = ExitStack()
        self._clients = [self._open.enter_context(self._client()) for _ in range(endpoint.workers)]
        self._failures, self._lock = 0, threading.Lock()

    def _client(self) -> Egress:
        endpoint = self._endpoint
        limits = Limits(
            read_s=endpoint.timeout_s,
            whole_s=2 * endpoint.timeout_s,
            requests_per_second=endpoint.requests_per_second / endpoint.workers,
            max_bytes=8 << 20,
            max_wait_s=endpoint.timeout_s,
            patience_s=2 * endpoint.timeout_s,
        )
        headers = {"authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        secrets = [endpoint.key] if endpoint.key else []
        return Egress(limits, secrets=secrets, headers=headers, seed=self._seed, tell=self._telling)

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def ask(self, texts: Sequence[str], progress: Callable[[int, int], None]) -> Iterator[Answer | None]:
        """An answer for each text, in their order; None once the budget is spent.

        Requests under way are counted at the price of the dearest one so far, so that the budget holds.

        Raises:
            InputError: the endpoint refuses several rows one after the other, or tells no tokens although money is
                limited.
        """
        with ThreadPoolExecutor(len(self._clients)) as pool:
            place = 0
            while place < len(texts):
                room = self._room()
                wave = texts[place : place + room]
                if not wave:
                    self.spent = True
                    yield from [None] * (len(texts) - place)
                    return
                for text_answer, spent in pool.map(self._about, wave, self._clients):
                    for answer in spent:
                        self.bill.add(answer, self._budget)
                    yield text_answer
                self._check_money()
                place += len(wave)
                progress(place, len(texts))

    def _room(self) -> int:
        """How many texts may be asked about at once now: one until it is known what one costs."""
        budget, bill, attempts = self._budget, self.bill, self._endpoint.attempts
        room = min(len(self._clients), (budget.max_requests - bill.requests) // attempts)
        if budget.max_cost is None:
            return max(0, room)
        if not bill.requests:
            return min(1, room) if budget.max_cost > 0 else 0
        left = budget.max_cost - bill.cost(budget)
        affordable = int(left / (bill.dearest * attempts)) if bill.dearest else room
        return max(0, min(room, affordable))

    def _check_money(self) -> None:
        if self.bill.unknown and self._budget.max_cost is not None:
            raise InputError(
                t("the endpoint does not tell the tokens it used (`usage`): `max_cost` cannot be kept"),
                where=masked_url(self._endpoint.url),
                remedy=t("take `max_requests` alone as the bound, or another endpoint"),
            )

    def _about(self, text: str, client: Egress) -> tuple[Answer, list[Completion]]:
        """The answer about one text, and the completions it took."""
        messages = self._question.messages(text)
        spent: list[Completion] = []
        answer = Answer(None, answering.NO_ANSWER)
        for _ in range(self._endpoint.attempts):
            found = self._complete(messages, client)
            if isinstance(found, Answer):
                return found, spent
            spent.append(found)
            answer = self._read(found)
            if answer.label is not None or answer.reason == answering.SAID_UNSURE:
                break
            messages = [*messages, {"role": "assistant", "content": found.content}, prompting.reminder()]
        return answer, spent

    def _read(self, found: Completion) -> Answer:
        if found.finish == "length":
            return Answer(None, answering.CUT_SHORT, found.content[:200])
        if found.finish == "content_filter":
            return Answer(None, answering.REFUSED, found.content[:200])
        return answering.read(found.content, self._letters, self._question.unsure)

    def _complete(self, messages: Sequence[Mapping[str, str]], client: Egress) -> Completion | Answer:
        endpoint = self._endpoint
        body = prompting.request(endpoint.model, messages, self._seed, endpoint.max_tokens, endpoint.extra)
        url = f"{endpoint.url.rstrip('/')}/chat/completions"
        try:
            reply = client.post_json(url, body, idempotent=True, cache=self._cache)
            found = answering.completion(reply.json())
            if found is None:
                raise InputError(t("the answer is no chat completion"), where=reply.shown)
        except StillBusy:
            raise  # the endpoint's, not the row's; what was answered before it is kept
        except InputError as error:
            return self._failed(error)
        with self._lock:
            self._failures = 0
        self._telling.over()
        # What it says is kept with the rows, and the name of its model on record: neither may hold the key.
        return replace(found, content=reply.masked(found.content), model=reply.masked(found.model))

    def _failed(self, error: InputError) -> Answer:
        """One row refused (too long, filtered) is that row's; several one after the other are the endpoint's."""
        with self._lock:
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                raise error
        return Answer(None, answering.REFUSED, error.problems[0].found[:200])
