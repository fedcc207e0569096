"""One author's way through a queue: which row is next, and what an answer to it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelyard.methods.data.labelling.answers import Answer
from modelyard.methods.data.labelling.queue import Item, Queue
from modelyard.methods.data.text import text_key


def key_of(item: Item) -> str:
    """The key of the row's text, by which it is found when its row id is gone; empty without a text."""
    return text_key(item.text).hex() if item.text is not None else ""


def answer_to(
    item: Item, after: str | None, author: str, time: str, queue: Queue, note: str = "", place: str = ""
) -> Answer:
    """An answer to a row of a queue; `after` None takes an earlier one back."""
    return Answer(item.row_id, item.given, after, author, time, note, queue.digest, item.why, key_of(item), place)


def standing(answers: Sequence[Answer], author: str) -> dict[str, Answer]:
    """By row, the author's answers that hold."""
    last = {answer.row_id: answer for answer in answers if answer.author == author}
    return {row_id: answer for row_id, answer in last.items() if answer.after is not None}


@dataclass
class Review:
    """A session: goes on with the rows this author has not answered for.

    A row whose label has become another than the one judged, and not the answer either, is asked about again.

    Attributes:
        position: place in the queue, from 0; its length at the end.
    """

    queue: Queue
    author: str
    answered: dict[str, Answer] = field(default_factory=dict)
    position: int = 0
    _trail: list[int] = field(default_factory=list)

    @classmethod
    def resume(cls, queue: Queue, answers: Sequence[Answer], author: str) -> Review:
        """Go on after the answers that the author has given."""
        review = cls(queue, author, standing(answers, author))
        review._forward()
        return review

    @property
    def current(self) -> Item | None:
        """The row to look at, None at the end."""
        return self.queue.items[self.position] if self.position < len(self.queue.items) else None

    @property
    def num_done(self) -> int:
        """Rows of the queue with an answer of this author."""
        return sum(self._done(item) for item in self.queue.items)

    def answer(self, after: str, time: str, note: str = "") -> Answer:
        """Answer for the current row and go on. There must be one."""
        item = self.queue.items[self.position]
        given = answer_to(item, after, self.author, time, self.queue, note)
        self.answered[item.row_id] = given
        self.skip()
        return given

    def skip(self) -> None:
        """Leave the current row for another time."""
        self._trail.append(self.position)
        self.position += 1
        self._forward()

    def undo(self, time: str) -> tuple[bool, Answer | None]:
        """Back to the row before.

        Returns:
            Whether there was one, and the line that takes its answer back if it had one.
        """
        if not self._trail:
            return False, None
        self.position = self._trail.pop()
        item = self.queue.items[self.position]
        if self.answered.pop(item.row_id, None) is None:
            return True, None
        return True, answer_to(item, None, self.author, time, self.queue)

    def _forward(self) -> None:
        while self.current is not None and self._done(self.current):
            self.position += 1

    def _done(self, item: Item) -> bool:
        answer = self.answered.get(item.row_id)
        return answer is not None and item.given in (answer.before, answer.after)
