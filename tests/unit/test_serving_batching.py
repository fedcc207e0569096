"""The batcher: full batches under load, no wait when idle, bounded, honest about deadlines, answers never mixed."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from support.served import FakePredictor

from modelyard.serving import ServingSettings
from modelyard.serving.batching import Answer, Batcher, Job
from modelyard.serving.errors import Refusal


class Bench:
    """A batcher on the running loop, and jobs whose answers are futures."""

    def __init__(self, predictor: FakePredictor, padding_costs: bool = False, **settings: int) -> None:
        self.predictor = predictor
        self.settings = ServingSettings(**{"workers": 1, **settings})
        self.loop = asyncio.get_running_loop()
        self.batcher = Batcher(predictor, self.settings, self.loop, padding_costs=padding_costs)

    def put(self, *texts: str, seconds: float = 5.0) -> tuple[Job, asyncio.Future[Answer]]:
        future: asyncio.Future[Answer] = self.loop.create_future()
        job = Job([{"text": text} for text in texts], time.monotonic() + seconds, future.set_result)
        self.batcher.submit(job)
        return job, future

    async def close(self) -> None:
        self.predictor.gate.set()
        await self.loop.run_in_executor(None, self.batcher.close)

    async def occupy(self) -> asyncio.Future[Answer]:
        """Keep the only worker busy until the gate opens."""
        self.predictor.gate.clear()
        _, future = self.put("x")
        while self.batcher.waiting_rows:
            await asyncio.sleep(0.001)
        return future


def labels(answer: Answer) -> list[str]:
    assert not isinstance(answer, Refusal)
    return [prediction.label for prediction in answer]


def test_a_lone_job_is_computed_at_once_even_where_fuller_batches_are_allowed() -> None:
    async def scenario() -> float:
        bench = Bench(FakePredictor(), max_batch_rows=64)
        began = time.perf_counter()
        _, future = bench.put("abc")
        assert labels(await future) == ["pos"]
        seconds = time.perf_counter() - began
        await bench.close()
        return seconds

    assert asyncio.run(scenario()) < 1.0


def test_what_waits_during_a_batch_becomes_the_next_one_and_answers_are_split_back() -> None:
    async def scenario() -> None:
        bench = Bench(FakePredictor(), max_batch_rows=8)
        first = await bench.occupy()
        jobs = [bench.put("a", "bb"), bench.put("ccc"), bench.put("dd", "ee", "fff")]
        bench.predictor.gate.set()
        answers = [labels(await future) for _, future in jobs]
        assert answers == [["pos", "neg"], ["pos"], ["neg", "neg", "pos"]]
        assert labels(await first) == ["pos"]
        assert bench.predictor.batches == [1, 6]
        await bench.close()

    asyncio.run(scenario())


def test_a_long_queue_is_cut_by_length_around_the_oldest_so_that_padding_is_small() -> None:
    async def scenario() -> None:
        bench = Bench(FakePredictor(), max_batch_rows=3)
        await bench.occupy()
        futures = [bench.put("x" * size)[1] for size in (100, 3, 99, 4, 101, 2)]
        order: list[int] = []
        for index, future in enumerate(futures):
            future.add_done_callback(lambda _, index=index: order.append(index))
        bench.predictor.gate.set()
        await asyncio.gather(*futures)
        assert sorted(order[:3]) == [0, 2, 4]
        assert bench.predictor.batches == [1, 3, 3]
        await bench.close()

    asyncio.run(scenario())


def test_where_padding_costs_short_and_long_texts_do_not_share_a_batch() -> None:
    async def scenario(padding_costs: bool) -> list[int]:
        bench = Bench(FakePredictor(), padding_costs=padding_costs)
        await bench.occupy()
        futures = [bench.put("x" * size)[1] for size in (10, 200, 11, 201, 12, 199, 90)]
        bench.predictor.gate.set()
        await asyncio.gather(*futures)
        await bench.close()
        return bench.predictor.batches

    assert asyncio.run(scenario(True)) == [1, 3, 3, 1]
    assert asyncio.run(scenario(False)) == [1, 7]


def test_a_job_larger_than_a_batch_is_computed_in_pieces_and_answered_whole() -> None:
    async def scenario() -> None:
        bench = Bench(FakePredictor(), max_batch_rows=4)
        _, future = bench.put(*["x" * size for size in range(10)])
        assert labels(await future) == ["pos" if size % 2 else "neg" for size in range(10)]
        assert max(bench.predictor.batches) == 4
        await bench.close()

    asyncio.run(scenario())


def test_a_full_queue_refuses_at_once_and_serves_again_when_it_has_room() -> None:
    async def scenario() -> None:
        bench = Bench(FakePredictor(), max_queue_rows=3)
        first = await bench.occupy()
        held = [bench.put("a")[1] for _ in range(3)]
        with pytest.raises(Refusal) as caught:
            bench.put("b")
        assert caught.value.code == "overloaded"
        assert (b"retry-after", b"1") in caught.value.all_headers()
        bench.predictor.gate.set()
        await asyncio.gather(first, *held)
        assert labels(await bench.put("b")[1]) == ["pos"]
        await bench.close()

    asyncio.run(scenario())


def test_past_its_deadline_a_job_is_told_so_and_is_not_computed_any_more() -> None:
    async def scenario() -> None:
        bench = Bench(FakePredictor(), deadline_ms=100)
        first = await bench.occupy()
        _, late = bench.put("a", seconds=0.05)
        answer = await asyncio.wait_for(late, 2)
        assert isinstance(answer, Refusal)
        assert answer.code == "deadline"
        bench.predictor.gate.set()
        await first
        assert labels(await bench.put("b")[1]) == ["pos"]
        assert sum(bench.predictor.batches) == 2
        await bench.close()

    asyncio.run(scenario())


def test_a_cancelled_job_is_neither_computed_nor_answered() -> None:
    async def scenario() -> None:
        bench = Bench(FakePredictor())
        first = await bench.occupy()
        job, gone = bench.put("a")
        _, kept = bench.put("b")
        job.cancel()
        bench.predictor.gate.set()
        await asyncio.gather(first, kept)
        assert not gone.done()
        assert bench.predictor.batches == [1, 1]
        await bench.close()

    asyncio.run(scenario())


def test_one_bad_row_fails_its_own_request_only_and_tells_nothing_of_the_inside() -> None:
    async def scenario() -> None:
        bench = Bench(FakePredictor())
        await bench.occupy()
        good, bad = bench.put("a")[1], bench.put("explode")[1]
        bench.predictor.gate.set()
        assert labels(await good) == ["pos"]
        answer = await bad
        assert isinstance(answer, Refusal)
        assert answer.code == "internal"
        assert "secret" not in answer.message
        await bench.close()

    asyncio.run(scenario())


def test_closing_finishes_what_is_queued_and_takes_nothing_more() -> None:
    async def scenario() -> None:
        bench = Bench(FakePredictor(seconds=0.01), max_batch_rows=1)
        futures = [bench.put("a")[1] for _ in range(5)]
        await bench.close()
        answers = await asyncio.gather(*futures)
        assert all(labels(answer) == ["pos"] for answer in answers)
        with pytest.raises(Refusal) as caught:
            bench.put("b")
        assert caught.value.code == "draining"

    asyncio.run(scenario())


def test_an_idle_worker_waits_for_a_fuller_batch_only_as_long_as_allowed() -> None:
    async def scenario() -> None:
        bench = Bench(FakePredictor(), max_wait_us=300_000, max_batch_rows=2)
        _, first = bench.put("a")
        await asyncio.sleep(0.02)
        _, second = bench.put("b")
        await asyncio.gather(first, second)
        assert bench.predictor.batches == [2]
        began = time.perf_counter()
        await bench.put("c")[1]
        assert time.perf_counter() - began > 0.2
        await bench.close()

    asyncio.run(scenario())


def test_many_threads_of_work_lose_and_mix_nothing() -> None:
    async def scenario() -> None:
        bench = Bench(FakePredictor(seconds=0.0005), workers=3, max_batch_rows=5, max_queue_rows=10_000)
        texts = [["x" * ((index * 7 + row) % 11) for row in range(index % 4 + 1)] for index in range(800)]
        futures = [bench.put(*group)[1] for group in texts]
        for group, future in zip(texts, futures, strict=True):
            assert labels(await future) == ["pos" if len(text) % 2 else "neg" for text in group]
        assert sum(bench.predictor.batches) == sum(len(group) for group in texts)
        await bench.close()
        assert threading.active_count() < 20

    asyncio.run(scenario())
