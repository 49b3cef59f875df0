"""The pages for people, in headless Chromium: search, marks, documents, login, and no script."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tvdb_assets.serve.markdown_page import MAX_RENDERED, render, split
from tvdb_assets_tests.serve.conftest import QUESTIONS, Serve

TOKEN = "a-token-of-the-tests-0123456789"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-headless-shell", "google-chrome"))), None
)
expect.set_options(timeout=60_000)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that records what it loads and what the policy blocks."""
    context = browser.new_context()
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


@needs_chromium
def test_a_person_asks_the_questions_of_the_demo_and_opens_a_document(
    serve: Serve, page: Page
) -> None:
    url = serve()
    requested: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("console", lambda message: problems.append(message.text))
    page.goto(url)
    for question, document in QUESTIONS.items():
        page.get_by_label("Question").fill(question)
        page.get_by_role("button", name="Search").click()
        expect(page.locator(".hit .path").first).to_have_text(document)
    page.get_by_label("Question").fill("Is flood damage covered?")
    page.get_by_role("button", name="Search").click()
    first = page.locator("li.hit").first
    expect(first.locator("mark").first).to_have_text("Flood")
    expect(first.locator(".page")).to_contain_text("page")
    first.get_by_role("link").click()
    expect(page.locator("#hit")).to_be_in_viewport()
    expect(page.locator(".sheet")).to_have_count(8)
    expect(page.get_by_text("Flood damage is not covered.")).to_be_visible()
    assert all(each.startswith((url, "data:")) for each in requested)
    assert problems == []


@needs_chromium
def test_filters_are_kept_and_restrict_the_results(serve: Serve, page: Page) -> None:
    page.goto(serve())
    page.get_by_text("Filters").click()
    page.get_by_label("Path").fill("scans/")
    page.get_by_label("Question").fill("damage")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit .path")).to_have_text(["scans/scanned-endorsement.pdf"])
    expect(page.get_by_label("Path")).to_have_value("scans/")


@needs_chromium
def test_a_person_enters_the_token_once(serve: Serve, page: Page) -> None:
    page.goto(serve(token=TOKEN))
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("not the token")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Question").fill("Is flood damage covered?")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit").first).to_be_visible()


@needs_chromium
def test_the_description_of_the_api_is_shown_without_other_sites(serve: Serve, page: Page) -> None:
    url = serve()
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(f"{url}/docs")
    expect(page.get_by_text("/v1/search").first).to_be_visible()
    assert all(each.startswith((url, "data:")) for each in requested)


@needs_chromium
def test_nothing_in_a_document_runs_or_loads(page: Page) -> None:
    html = str(render(HOSTILE, 0, is_markdown=True, hit=(0, len(HOSTILE))))
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.set_content(f"<title>safe</title>{html}")
    assert page.title() == "safe"
    assert requested == []


HOSTILE = """# Title <script>document.title = 'run'</script>

<img src=x onerror="document.title='run'"><svg onload="document.title='run'"></svg>

<iframe src="https://attacker.example"></iframe> <style>@import 'https://attacker.example'</style>

![picture](https://attacker.example/pixel.png) ![x](javascript:alert)

[run](javascript:document.title='run') [data](data:text/html,<script>1</script>)
[form](/?q=pay) [mail](mailto:a@example.com) <https://ok.example>

<form action="/login"><input name=token></form>

| a | b |
|---|---|
| <b onclick="x()">c</b> | `<script>` |
"""


def test_html_of_a_document_is_shown_as_text() -> None:
    html = str(render(HOSTILE, 0, is_markdown=True, hit=None))
    for tag in ("<script", "<img", "<svg", "<iframe", "<style", "<form", "<input", "<b "):
        assert tag not in html
    assert "&lt;script&gt;" in html
    assert 'href="javascript' not in html
    assert 'href="data' not in html
    assert 'href="/' not in html
    assert 'href="https://ok.example"' in html
    assert "[picture: picture]" in html


def test_the_blocks_of_a_passage_are_marked_at_their_offsets() -> None:
    text = "# One\n\nfirst text\n\n| a | b |\n|---|---|\n| c | d |\n\nlast\x0btext\n"
    start = text.index("first")
    html = str(render(text, 100, is_markdown=True, hit=(100 + start, 100 + start + 5)))
    assert 'id="hit"' in html
    assert html.count('class="hit"') == 1
    assert 'id="o100"' in html


def test_a_long_text_is_split_at_lines_and_nothing_is_lost() -> None:
    text = ("word " * 20 + "\n\n") * 9_000
    parts = split(text, ())
    assert "".join(text[start:end] for start, end in parts) == text
    assert all(end - start <= MAX_RENDERED for start, end in parts)
    assert all(text[start - 1] == "\n" for start, _ in parts[1:])
    assert split("x" * (MAX_RENDERED * 2 + 1), ())[-1][1] == MAX_RENDERED * 2 + 1
    assert split("abc", (0, 1)) == [(0, 1), (1, 3)]


def test_pages_have_a_policy_that_allows_no_script(serve: Serve) -> None:
    with httpx2.Client(timeout=60, base_url=serve()) as client:
        shown = client.get("/", params={"q": "<script>alert(1)</script>"})
        document = client.get("/document", params={"path": "policies/motor-policy.pdf"})
        missing = client.get("/document", params={"path": "<script>"})
    for page in (shown, document, missing):
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "script-src" not in page.headers["content-security-policy"]
        assert "<script" not in page.text
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"
    assert (shown.status_code, missing.status_code) == (200, 404)


def test_a_link_of_another_site_fills_in_a_question_and_does_not_send_it(serve: Serve) -> None:
    headers = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    page = httpx2.get(serve(), params={"q": "flood"}, headers=headers)
    assert page.status_code == 200
    assert 'value="flood"' in page.text
    assert 'class="hit"' not in page.text
