// How the page looks: accessible in both themes and at phone width, and pictures of it for the documentation.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Demo, until } from "@balance-gateway/testkit";
import { launch, open, showToken } from "@balance-gateway/testkit/browser";

/** Pictures differ from run to run, as money moves; those in docs/ are replaced only where UPDATE_IMAGES says so. */
const IMAGES = fileURLToPath(new URL(process.env.UPDATE_IMAGES ? "../../../docs/images/" : "../../../target/images/", import.meta.url));
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let browser;
let demo;

before(async () => {
  browser = await launch();
  demo = await Demo.start();
  await mkdir(IMAGES, { recursive: true });
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

/** A fault of the test before may not be over: a venue that refused us is tried again later. */
async function whole() {
  const answer = await fetch(new URL("/v1/balances", demo.page), { headers: { authorization: `Bearer ${demo.token}` } });
  return (await answer.json()).complete;
}

async function visit(options) {
  await until("every account is live", whole);
  const page = await open(browser, demo.page, options);
  await showToken(page, demo.token);
  await page.waitForSelector('#link[data-phase="live"]');
  return page;
}

async function accessible(page, what) {
  // Through the debugger, as the page's own policy lets no other script in.
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
  assert.ok(passes.length > 10);
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`);
  assert.deepEqual(told, [], what);
}

for (const theme of ["light", "dark"]) {
  test(`everything is accessible and pictured in the ${theme} theme`, async () => {
    const page = await visit({ colorScheme: theme, reducedMotion: "reduce" });
    await until("money has moved", async () => (await page.locator('.line:not([hidden]) path[d*="V"]').count()) >= 6);
    await page.screenshot({ path: `${IMAGES}dashboard-${theme}.png` });
    await accessible(page, `${theme}, by account`);
    await page.click('.views [data-view="asset"]');
    await page.screenshot({ path: `${IMAGES}dashboard-assets-${theme}.png` });
    await accessible(page, `${theme}, by asset`);
    await page.click('.views [data-view="status"]');
    await page.locator("article").first().waitFor();
    await page.screenshot({ path: `${IMAGES}dashboard-status-${theme}.png` });
    await accessible(page, `${theme}, status`);
    await page.click('.views [data-view="account"]');
    await page.locator('.line[data-kind="row"]:not([hidden]) .name').first().click();
    await page.waitForSelector("#details[open]");
    await accessible(page, `${theme}, details`);
    await page.keyboard.press("Escape");
    await page.click("#token-open");
    await accessible(page, `${theme}, token`);
    await page.keyboard.press("Escape");
    await fetch(`${demo.control}/fault?venue=bitfinex`, { method: "POST", body: '{"fault":"refuse"}' });
    await fetch(`${demo.control}/fault?venue=bitfinex`, { method: "POST", body: '{"fault":"disconnect"}' });
    await page.locator('.line[data-state="stale"]:not([hidden])').first().waitFor();
    await page.evaluate(() => document.activeElement.blur());
    await page.screenshot({ path: `${IMAGES}dashboard-stale-${theme}.png` });
    await accessible(page, `${theme}, stale`);
    await fetch(`${demo.control}/fault`, { method: "POST", body: '{"fault":"heal"}' });
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}

test("the theme button overrides the system's choice, and is remembered", async () => {
  const page = await visit({ colorScheme: "light" });
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  for (let i = 0; i < 2; i += 1) await page.click("#theme");
  assert.equal(await page.locator("#theme").textContent(), "Theme: dark");
  const dark = await paper();
  assert.notEqual(dark, light);
  await page.reload();
  assert.equal(await paper(), dark);
  await page.context().close();
});

for (const width of [1024, 1280, 1366]) {
  test(`at ${width} px every state and reason is in sight, and no digit is cut`, async () => {
    // A vertical scroll bar, where there is one, takes its part.
    const page = await visit({ viewport: { width: width - 16, height: 700 } });
    await fetch(`${demo.control}/fault?venue=p99`, { method: "POST", body: '{"fault":"refuse"}' });
    await fetch(`${demo.control}/fault?venue=p99`, { method: "POST", body: '{"fault":"disconnect"}' });
    const reason = page.locator('.line[data-kind="group"][data-state="stale"]:not([hidden]) .changed');
    await until("the reason is told", async () => /refused/.test((await reason.first().textContent())));
    for (const view of ["account", "asset"]) {
      await page.click(`.views [data-view="${view}"]`);
      const { lines, hidden, cut, widest } = await page.evaluate(() => {
        const all = (selector) => [...document.querySelectorAll(`.line:not([hidden]) ${selector}`)].filter((cell) => cell.getClientRects().length > 0);
        const isCut = (cell) => cell.scrollWidth > cell.clientWidth + 1;
        const states = all(".state");
        const hidden = states.filter((cell) => {
          const { left, right } = cell.getBoundingClientRect();
          return left < 0 || right > innerWidth || cell.textContent === "";
        });
        const reasons = all(".changed").filter((cell) => cell.parentElement.dataset.kind === "group");
        return {
          lines: states.length, hidden: hidden.length, cut: [...states, ...reasons, ...all(".whole"), ...all(".fraction")].filter(isCut).map((cell) => cell.textContent),
          widest: Math.max(document.documentElement.scrollWidth, document.querySelector("#grid").scrollWidth) - innerWidth,
        };
      });
      assert.ok(lines > 15, `${lines} lines in the view by ${view}`);
      assert.deepEqual({ hidden, cut, widest }, { hidden: 0, cut: [], widest: 0 }, `by ${view}`);
    }
    await accessible(page, `${width} px`);
    await fetch(`${demo.control}/fault`, { method: "POST", body: '{"fault":"heal"}' });
    await page.click('.views [data-view="account"]');
    // The keyboard passes over what is folded away.
    await page.focus("#grid");
    await page.keyboard.press("ArrowDown");
    const active = async () => page.locator(`[id="${await page.locator("#grid").getAttribute("aria-activedescendant")}"]`);
    const passed = [];
    for (let i = 0; i < 8; i += 1) {
      const cell = await active();
      assert.ok(await cell.isVisible());
      passed.push((await cell.getAttribute("class")).split(" ")[1]);
      await page.keyboard.press("ArrowRight");
    }
    assert.deepEqual(passed.slice(0, 5), ["name", "place", "total", "available", "locked"]);
    assert.equal(passed.at(-1), "state");
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}

test("at phone width nothing is cut off or needs sideways scrolling", async () => {
  const page = await visit({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await page.locator('.line[data-kind="row"]:not([hidden])').first().waitFor();
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.querySelector("#grid").scrollWidth <= innerWidth);
  assert.ok(await fits());
  await page.screenshot({ path: `${IMAGES}dashboard-phone.png` });
  await accessible(page, "phone");
  await page.locator('.line[data-kind="row"]:not([hidden])').first().tap();
  await page.waitForSelector("#details[open]");
  assert.ok(await fits());
  await page.screenshot({ path: `${IMAGES}dashboard-phone-details.png` });
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
