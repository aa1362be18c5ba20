// Ten thousand rows: how many elements there are, and how evenly frames come while they are scrolled through and change.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Gateway, Venues, until } from "@balance-gateway/testkit";
import { launch, open, showToken } from "@balance-gateway/testkit/browser";

const ROWS = 10_000;
/** Of the gaps between two frames, nearly all must be shorter. A person notices a tenth of a second. */
const SMOOTH_MS = 100;
let browser;
let venues;
let gateway;

before(async () => {
  browser = await launch();
  venues = await Venues.start();
  const rows = Array.from({ length: ROWS }, (_, i) => [`A${String(i).padStart(5, "0")}`, `${i}.${i}1`]);
  await venues.setMany("bfx-main", "exchange", rows);
  gateway = await Gateway.start(venues);
});
after(async () => {
  await browser?.close();
  await gateway?.stop();
  await venues?.stop();
});

test("ten thousand rows scroll smoothly while balances change", async (t) => {
  const page = await open(browser, gateway.page);
  const begun = Date.now();
  await showToken(page, await gateway.token("alice"));
  await page.waitForSelector('#link[data-phase="live"]');
  await until("all rows are there", async () => /^1\d.\d{3} rows$/.test(await page.locator("#count").textContent()));
  const shownMs = Date.now() - begun;
  await venues.post("/market", { rate_hz: 20 });
  const { gaps, most } = await page.evaluate(() => new Promise((done) => {
    const grid = document.querySelector("#grid");
    const gaps = [];
    let most = 0;
    let last = performance.now();
    const end = last + 4000;
    const step = (now) => {
      gaps.push(now - last);
      last = now;
      grid.scrollTop += 150;
      most = Math.max(most, document.querySelectorAll(".line").length);
      if (now < end) requestAnimationFrame(step);
      else done({ gaps, most });
    };
    requestAnimationFrame(step);
  }));
  await venues.post("/market", { rate_hz: 0 });
  gaps.sort((a, b) => a - b);
  const at = (share) => gaps[Math.floor((gaps.length - 1) * share)];
  t.diagnostic(`${ROWS} rows shown after ${shownMs} ms; ${gaps.length} frames in 4 s: median ${at(0.5).toFixed(1)} ms, 95 % within ${at(0.95).toFixed(1)} ms, longest ${at(1).toFixed(1)} ms; ${most} lines in the page`);
  assert.ok(most < 120, `${most} lines exist`);
  assert.ok(at(0.95) < SMOOTH_MS, `95 % of the frames came within ${at(0.95)} ms`);
  await page.focus("#grid");
  await page.keyboard.press("End");
  await page.locator(".line:not([hidden])", { hasText: "USDC" }).first().waitFor();
  const find = await page.evaluate(() => {
    const input = document.querySelector("#find");
    input.value = "a09999";
    const begun = performance.now();
    input.dispatchEvent(new Event("input"));
    return performance.now() - begun;
  });
  t.diagnostic(`a search through ${ROWS} rows takes ${find.toFixed(1)} ms`);
  await page.locator('.line[data-kind="row"]:not([hidden])', { hasText: "A09999" }).waitFor();
  assert.deepEqual(page.faults, []);
});
