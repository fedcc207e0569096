"""The card in a real browser: it fits a phone, shows one language at a time, and switches without a script."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.sample_record import many_classes, sample_record

from modelyard.methods.reporting import render

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PROBE = """<script>
addEventListener("load", () => {
  const shown = () => [...document.querySelectorAll("main")].filter(one => one.offsetHeight > 0);
  const look = () => ({langs: shown().map(one => one.lang).join(), width: document.documentElement.scrollWidth,
    wide: [...document.querySelectorAll("main *")].filter(one => !one.closest(".scroll, nav, svg")
      && one.getBoundingClientRect().right > innerWidth + 1)
      .map(one => one.tagName + "." + one.className).slice(0, 5)});
  const before = look();
  document.querySelector("label[for=lang-zh]").click();
  document.title = JSON.stringify({view: innerWidth, before, after: look(),
    requests: performance.getEntriesByType("resource").length});
});
</script>"""


def browser() -> str:
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs a chromium")
        pytest.skip("no chromium here")
    return found


def probed(tmp_path: Path, page: str, width: int) -> dict[str, Any]:
    """What the page says of itself at that width; its own policy forbids scripts, so the probe's copy has none."""
    policy = re.search(r"<meta http-equiv=[^>]*>", page)
    assert policy is not None
    path = tmp_path / "card.html"
    frame = tmp_path / "frame.html"
    path.write_text(page.replace(policy[0], "").replace("</body>", PROBE + "</body>"), encoding="utf-8")
    # Headless windows have a least width above a phone's; a frame has none.
    read = "document.title = document.querySelector('iframe').contentDocument.title"
    frame.write_text(
        f'<iframe src="card.html" style="border:0;width:{width}px;height:800px"></iframe>'
        f"<script>addEventListener('load', () => setTimeout(() => {{ {read} }}, 50))</script>",
        encoding="utf-8",
    )
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    arguments += [f"--user-data-dir={tmp_path / 'profile'}", "--allow-file-access-from-files"]
    arguments += ["--virtual-time-budget=5000", "--dump-dom", frame.as_uri()]
    done = subprocess.run([browser(), *arguments], capture_output=True, text=True, timeout=120, check=False)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.S)
    assert title is not None, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(title[1].replace("&amp;", "&"))
    return found


@pytest.mark.parametrize(("make", "width"), [(sample_record, 360), (many_classes, 360), (sample_record, 1280)])
def test_the_card_fits_a_phone_and_a_desktop_and_switches_its_language(
    tmp_path: Path, make: object, width: int
) -> None:
    assert callable(make)
    found = probed(tmp_path, render(make()), width)
    assert found["view"] == width
    assert found["before"] == {"langs": "en", "width": width, "wide": []}
    assert found["after"] == {"langs": "zh-CN", "width": width, "wide": []}
    assert found["requests"] == 0


def test_a_page_that_is_too_wide_would_be_caught(tmp_path: Path) -> None:
    page = render(sample_record()).replace("</header>", '<p style="width:2000px">wide</p></header>', 1)
    assert probed(tmp_path, page, 360)["before"]["width"] > 2000


def test_a_print_shows_what_is_folded_on_the_screen(tmp_path: Path) -> None:
    """As many pages whether folds are open or closed, and more than where they cannot be opened."""
    page = render(sample_record())
    assert "<details>" in page
    forced = page.replace("<details", "<details open")
    hidden = re.sub(r"details:(:details-content|not\(\[open\]\)>\*)\{[^}]*\}", "", page)
    assert hidden != page
    sizes = [printed_pages(tmp_path / name, text) for name, text in (("a", page), ("b", forced), ("c", hidden))]
    assert sizes[0] == sizes[1] > sizes[2]


def printed_pages(folder: Path, page: str) -> int:
    folder.mkdir()
    path, out = folder / "card.html", folder / "card.pdf"
    path.write_text(page, encoding="utf-8")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-pdf-header-footer"]
    arguments += [f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={out}", path.as_uri()]
    done = subprocess.run([browser(), *arguments], capture_output=True, text=True, timeout=240, check=False)
    assert out.is_file(), done.stderr[-2000:]
    return len(re.findall(rb"/Type\s*/Page(?!s)", out.read_bytes()))
