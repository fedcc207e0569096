"""`modelyard label`: a person looks at a queue of rows, one after the other."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelyard.app import labels
from modelyard.base.messages import did_you_mean, t
from modelyard.cli.options import json_option, profile_option, project_option
from modelyard.cli.output import print_json, visible
from modelyard.errors import UsageError

if TYPE_CHECKING:
    from modelyard.methods.data.labelling.queue import Item
    from modelyard.methods.data.labelling.review import Review

KEYS = ("a", "k", "s", "u", "n", "q", "?")
MOST_CHARACTERS = 2_000
MOST_LABELS = 30


@click.command(
    "label",
    help=t("Look at the rows that STEP put in its queue, one after the other, and say what their labels are. Each "
           "answer is on the disk before the next row is shown; started again, it goes on where it was. Without a "
           "terminal, answers are read from standard input, one a line. data.correct applies them."),
)  # fmt: skip
@click.argument("step")
@click.option("--to", default=None, type=click.Path(path_type=Path),
              help=t("the file of answers; by default labels/STEP.jsonl beside the project"))  # fmt: skip
@click.option("--author", default=None, help=t("who answers; by default the name git knows, else the account's"))
@click.option("--export", "export", default=None, metavar="label-studio FILE",
              type=(click.Choice(["label-studio"]), click.Path(path_type=Path)),
              help=t("write the queue as tasks of Label Studio, with the labelling configuration"))  # fmt: skip
@click.option("--import", "source", default=None, type=click.Path(path_type=Path),
              help=t("read an export of Label Studio (JSON or JSON-MIN) back as answers"))  # fmt: skip
@project_option()
@profile_option()
@json_option()
def command(
    step: str,
    to: Path | None,
    author: str | None,
    export: tuple[str, Path] | None,
    source: Path | None,
    project: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    if export is not None and source is not None:
        raise UsageError(t("--export and --import are two different commands"))
    desk = labels.open_desk(step, to=to, project=project, profile=profile)
    if export is not None:
        _export(desk, export[1], as_json)
    elif source is not None:
        _import(desk, source, as_json)
    else:
        _review(desk, author, as_json)


def _export(desk: labels.Desk, target: Path, as_json: bool) -> None:
    beside = labels.export(desk, target)
    if as_json:
        print_json({"tasks": len(desk.queue.items), "file": str(target), "config": str(beside)})
        return
    print(t("{n:,} tasks: {file}; labelling configuration: {config}", n=len(desk.queue.items), file=target,
            config=beside))  # fmt: skip


def _import(desk: labels.Desk, source: Path, as_json: bool) -> None:
    found, num_new = labels.bring_in(desk, source)
    if as_json:
        print_json({"answers": len(found.answers), "new": num_new, "left": dict(found.left), "notes": found.notes,
                    "file": str(desk.answers)})  # fmt: skip
        return
    print(t("{n:,} answers, {new:,} of them new: {file}", n=len(found.answers), new=num_new, file=desk.answers))
    if found.left:
        kinds = ", ".join(f"{t(kind)} {count:,}" for kind, count in found.left.most_common())
        print(t("{n:,} were left: {kinds}", n=found.left.total(), kinds=kinds))
    for note in found.notes:
        print(visible(f"  {note}"))


def _review(desk: labels.Desk, author: str | None, as_json: bool) -> None:
    name = author if author is not None else labels.default_author(desk.answers.parent.parent)
    if not name.strip():
        raise UsageError(t("the author has no name"), remedy="--author NAME")
    _, num_bad = labels.answers_of(desk)
    review = labels.review(desk, name)
    session = _Session(desk, review, quiet=as_json)
    if num_bad:
        session.tell(t("{n:,} lines of {file} are no answers and are passed over", n=num_bad, file=desk.answers))
    session.run()
    if as_json:
        counts = dict(session.counts)
        print_json({"author": name, "rows": len(desk.queue.items), "done": review.num_done, **counts,
                    "file": str(desk.answers)})  # fmt: skip


class _Session:
    """What stands on the screen, and what the keys do."""

    def __init__(self, desk: labels.Desk, review: Review, quiet: bool) -> None:
        self._desk = desk
        self._review = review
        self._quiet = quiet
        self._note = ""
        self.counts: Counter[str] = Counter(answered=0, skipped=0, undone=0)

    def tell(self, text: str = "") -> None:
        if not self._quiet:
            print(visible(text), flush=True)

    def run(self) -> None:
        review = self._review
        self.tell(
            t("{n:,} rows, {done:,} answered for by {author}; answers go to {file}", n=len(review.queue.items),
              done=review.num_done, author=review.author, file=self._desk.answers)
        )  # fmt: skip
        if review.current is None:
            self.tell(t("nothing is left to answer for"))
            return
        self._help()
        _complete(review.queue.labels)
        shown = -1
        while (item := review.current) is not None:
            if shown != review.position:
                self._show(item)
                shown = review.position
            line = self._read()
            if line is None or line == "q":
                break
            if self._act(item, line):
                shown = -1
        self.tell()
        self.tell(
            t("{n:,} answers given; {done:,} of {rows:,} rows are answered for", n=self.counts["answered"],
              done=review.num_done, rows=len(review.queue.items))
        )  # fmt: skip

    def _read(self) -> str | None:
        """The next line without its ends; None at the end of the input."""
        try:
            return input("> " if sys.stdin.isatty() and not self._quiet else "").strip()
        except EOFError:
            return None

    def _act(self, item: Item, line: str) -> bool:
        """Do what a line says. True if the row is to be shown again."""
        key, _, rest = line.partition(" ")
        if line in ("", "?"):
            self._help()
        elif line == "s":
            self.counts["skipped"] += 1
            self._note = ""
            self._review.skip()
        elif line == "u":
            self._undo()
            return True
        elif key == "n" and rest:
            self._note = rest.strip()
            self.tell(t("the note goes with the next answer"))
        elif line == "a" and item.suggested is not None:
            self._give(item.suggested)
        elif line == "k" and item.given is not None:
            self._give(item.given)
        elif line in ("a", "k"):
            self.tell(t("nothing is suggested") if line == "a" else t("the row has no label to keep"))
        else:
            self._label(line)
        return False

    def _label(self, line: str) -> None:
        known = self._review.queue.labels
        wanted = line[1:].strip() if line[0] in "=+" and line not in known else line
        fits = [wanted] if wanted in known else [label for label in known if label.startswith(wanted)]
        if wanted and line.startswith("+"):
            self._give(wanted)
        elif wanted and len(fits) == 1:
            self._give(fits[0])
        elif len(fits) > 1:
            self.tell(t("could be: {labels}", labels=", ".join(fits[:MOST_LABELS])))
        else:
            hint = did_you_mean(wanted, list(known[:MOST_LABELS]))
            self.tell(t("there is no label `{label}`; {hint}", label=wanted, hint=hint))
            self.tell(t("a new one: `+{label}`", label=wanted))

    def _give(self, after: str) -> None:
        answer = self._review.answer(after, labels.now(), self._note)
        labels.record(self._desk, [answer])
        self._note = ""
        self.counts["answered"] += 1

    def _undo(self) -> None:
        back, answer = self._review.undo(labels.now())
        self._note = ""
        if answer is not None:
            labels.record(self._desk, [answer])
            self.counts["answered"] -= 1
        self.counts["undone"] += back
        if not back:
            self.tell(t("there is nothing to undo in this session"))

    def _help(self) -> None:
        self.tell(
            t("a accept the suggestion · k keep the label · s skip · u undo · n TEXT add a note · q quit · or type a "
              "label (its beginning is enough; =LABEL if it is one of these keys; +LABEL for a new one)")
        )  # fmt: skip
        known = self._review.queue.labels
        more = ", …" if len(known) > MOST_LABELS else ""
        self.tell(t("labels: {labels}", labels=", ".join(known[:MOST_LABELS]) + more))

    def _show(self, item: Item) -> None:
        why = {
            "issue": t("likely wrong"),
            "disputed": t("the model disagrees"),
            "next": t("worth a label"),
            "audit": t("drawn at random"),
        }.get(item.why, item.why)
        self.tell()
        head = t("row {position:,} of {rows:,}", position=self._review.position + 1, rows=len(self._review.queue.items))
        self.tell(f"── {head} · {item.row_id} · {why} · {t('score')} {item.score:.3f}")
        self.tell(_wrapped(item))
        parts = [t("label: {label}", label=item.given if item.given is not None else t("none"))]
        if item.suggested is not None:
            parts.append(t("suggested: {label} ({share:.0%})", label=item.suggested, share=item.confidence))
        self.tell(" · ".join(parts))


def _wrapped(item: Item) -> str:
    if item.text is None:
        size = len(item.image or b"")
        return t("an image of {size:,} bytes, which a terminal cannot show: use --export label-studio", size=size)
    text = item.text if len(item.text) <= MOST_CHARACTERS else item.text[: MOST_CHARACTERS - 1] + "…"
    width = max(20, min(110, shutil.get_terminal_size().columns))
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines() or [""])


def _complete(names: Sequence[str]) -> None:
    """Let the tab key complete labels, where there is a terminal and a library that can."""
    if not sys.stdin.isatty():
        return
    try:
        import readline
    except ImportError:
        return

    def complete(text: str, state: int) -> str | None:
        fits = [name for name in names if name.startswith(text)]
        return fits[state] if state < len(fits) else None

    readline.set_completer_delims("\n")
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
