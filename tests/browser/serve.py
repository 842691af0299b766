"""The page of `megasim serve` in Chromium: from the digits demo to a raster, cancelled and reloaded on the way.

    python tests/browser/serve.py MEGASIM [SCREENSHOTS]

Needs the package playwright and Chromium, as the program `chromium` or where $CHROMIUM says. Screenshots (light, dark,
and 390 pixels wide) are written into a directory where one is named.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

LIMIT = 120_000

# Contrast of text with what is behind it, by WCAG 2.2: of each element with its own text, those below 4.5.
LOW_CONTRAST = """() => {
  const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const luminance = (colour) => {
    const part = (value) => value <= 10.31475 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = channels(colour).map(part);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let it = element; it; it = it.parentElement) {
      const colour = getComputedStyle(it).backgroundColor;
      if ((channels(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((it) => it.nodeType === 3 && it.textContent.trim());
    if (!hasText || !element.checkVisibility()) continue;
    const [one, other] = [luminance(getComputedStyle(element).color), luminance(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) low.push(`${element.tagName} ${element.textContent.trim().slice(0, 40)}: ${contrast}`);
  }
  return low;
}"""


class Clicks:
    """Clicks on a page, counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.made: list[str] = []

    def __call__(self, name: str, scope: str = "body") -> None:
        self.page.locator(scope).get_by_role("button", name=name, exact=True).click()
        self.made.append(name)


def state(page: Page, number: int, expected: str) -> None:
    """Waits until a job has a state."""
    job = page.locator(f'#jobs li[data-job="{number}"]')
    expect(job).to_have_attribute("data-state", expected, timeout=LIMIT)


def to_the_raster(page: Page) -> list[str]:
    """From an empty directory to a raster; the clicks."""
    click = Clicks(page)
    click("Use the digits demo")
    expect(page.locator("#line")).to_contain_text("megasim-demo/digits_cnn.keras")
    expect(page.locator("#line")).to_contain_text("--out=netfiles-1")
    click("Run")
    state(page, 1, "done")
    click("Classify with it")
    expect(page.locator("#line")).to_contain_text("megasim classify")
    expect(page.locator("#line")).to_contain_text("netfiles-1")
    click("Run")
    state(page, 2, "done")
    frame = page.frame_locator('iframe[title="classify-1.html of job 2"]')
    samples = "Samples 0, 1, 2, 3"
    frame.get_by_role("link", name=samples, exact=True).click(timeout=LIMIT)
    click.made.append(samples)
    expect(frame.locator("svg[data-end]").first).to_be_visible()
    # The script of the page runs in its frame: one sample is shown at a time.
    expect(frame.get_by_role("heading", name="Sample 0", exact=True)).to_be_visible()
    expect(frame.get_by_role("heading", name="Sample 1", exact=True)).to_be_hidden()
    return click.made


def compare(page: Page) -> None:
    """Both modes and the trained network, on a page with rasters side by side."""
    page.select_option("#command", "compare")
    expect(page.locator("#line")).to_contain_text("megasim compare")
    page.fill("#field-samples", "20")
    expect(page.locator("#line")).to_contain_text("--samples=20")
    page.get_by_role("button", name="Run", exact=True).click()
    state(page, 3, "done")
    frame = page.frame_locator('iframe[title="compare-1.html of job 3"]')
    expect(frame.locator("svg[data-end]").first).to_be_attached(timeout=LIMIT)


def cancel_and_reload(page: Page) -> None:
    """A long job is watched, found again after a reload, and cancelled; so is one that waits."""
    page.select_option("#command", "classify")
    expect(page.locator("#line")).to_contain_text("megasim classify")
    page.locator("summary").get_by_text("Presentation", exact=True).click()
    page.fill("#field-duration", "100000")
    expect(page.locator("#line")).to_contain_text("--duration=100000")
    page.get_by_role("button", name="Run", exact=True).click()
    state(page, 4, "running")
    expect(page.locator('#jobs li[data-job="4"]')).to_contain_text(re.compile(r"\d+ of \d+"), timeout=LIMIT)
    expect(page.locator("#run")).to_be_enabled()
    page.get_by_role("button", name="Run", exact=True).click()
    state(page, 5, "waiting")
    page.reload()
    state(page, 4, "running")
    state(page, 5, "waiting")
    # The form is as it was.
    expect(page.locator("#field-duration")).to_have_value("100000")
    page.get_by_role("button", name="Cancel job 5").click()
    state(page, 5, "cancelled")
    page.get_by_role("button", name="Cancel job 4").click()
    state(page, 4, "cancelled")


def look_and_compare(page: Page) -> None:
    """Layers of the model, two results side by side, a fault next to its option, settings saved and loaded."""
    page.select_option("#command", "convert")
    expect(page.locator("#line")).to_contain_text("megasim convert")
    page.get_by_role("button", name="Look at the model").click()
    state(page, 6, "done")
    expect(page.locator('.side[data-side="left"]')).to_contain_text("Conv2D", timeout=LIMIT)
    page.select_option("#left", "2")
    page.select_option("#right", "3")
    expect(page.locator('.side[data-side="left"] h3')).to_have_text("Job 2: classify, done")
    expect(page.locator('.side[data-side="right"] h3')).to_have_text("Job 3: compare, done")
    page.select_option("#command", "compare")
    expect(page.locator("#line")).to_contain_text("megasim compare")
    page.fill("#field-samples", "many")
    expect(page.locator("#fault")).to_contain_text("invalid value 'many'")
    expect(page.locator("#field-samples")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#run")).to_be_disabled()
    page.fill("#field-samples", "7")
    expect(page.locator("#run")).to_be_enabled()
    page.locator("summary", has_text="Settings as a file").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#settings-said")).to_have_text("Saved. In a terminal: megasim run-settings settings.toml")
    page.fill("#field-samples", "8")
    page.get_by_role("button", name="Load", exact=True).click()
    expect(page.locator("#field-samples")).to_have_value("7")


def by_keyboard(page: Page) -> None:
    """Tab reaches the first parts in order, with a focus that is seen; Enter in a field runs."""
    page.reload()
    state(page, 6, "done")
    expect(page.locator("#run")).to_be_enabled()
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", (reached, outline)
    assert reached == ["skip", "example", "look", "command"], reached


def looks(browser: Browser, url: str, screenshots: pathlib.Path | None) -> None:
    """Contrast, light and dark, and no scrolling sideways at 390 pixels."""
    sizes = {"wide": (1280, 1000), "narrow": (390, 844)}
    for scheme in ["light", "dark"]:
        for size, (width, height) in sizes.items():
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
            page = context.new_page()
            page.goto(url)
            state(page, 6, "done")
            page.get_by_role("button", name="Show job 2").click()
            page.frame_locator("iframe").locator("svg[data-end]").first.wait_for(state="attached", timeout=LIMIT)
            expect(page.locator("#run")).to_be_enabled()
            low = page.evaluate(LOW_CONTRAST)
            assert not low, f"{scheme}, {size}: {low}"
            excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert excess <= 0, f"{scheme}, {size}: {excess} pixels too wide"
            if screenshots:
                page.screenshot(path=screenshots / f"{scheme}-{size}.png", full_page=True)
                page.locator("iframe").scroll_into_view_if_needed()
                page.wait_for_timeout(500)
                page.screenshot(path=screenshots / f"{scheme}-{size}-page.png")
            context.close()


def opened(context: BrowserContext, url: str, faults: list[str]) -> Page:
    page = context.new_page()
    page.set_default_timeout(LIMIT)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(url)
    expect(page.locator("#about")).not_to_be_empty()
    return page


def main() -> None:
    program = pathlib.Path(sys.argv[1]).resolve()
    screenshots = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        server = subprocess.Popen([program, "serve"], cwd=place, stdout=subprocess.PIPE, text=True)
        try:
            url = server.stdout.readline().strip()
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = opened(browser.new_context(), url, faults)
            other = opened(browser.new_context(), url, faults)
            clicks = to_the_raster(page)
            assert len(clicks) < 10, clicks
            print(f"{len(clicks)} clicks to the raster: {', '.join(clicks)}")
            # Another browser sees the same jobs.
            state(other, 2, "done")
            compare(page)
            cancel_and_reload(page)
            state(other, 4, "cancelled")
            look_and_compare(page)
            by_keyboard(page)
            looks(browser, url, screenshots)
            wrong = browser.new_context().new_page().goto(url[:-5] + "/")
            assert wrong.status == 403, wrong.status
            browser.close()
        finally:
            server.send_signal(signal.SIGINT)
            status = server.wait(timeout=30)
    assert status == 0, status
    assert not faults, faults
    print("the page of megasim serve: well")


if __name__ == "__main__":
    main()
