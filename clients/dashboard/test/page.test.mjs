// The page in a real browser, against real gateways and simulated venues with their faults.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Gateway, Venues, Wire, until } from "@balance-gateway/testkit";
import { launch, open, showToken } from "@balance-gateway/testkit/browser";

let browser;
let venues;
let gateway;
const wires = [];

before(async () => {
  browser = await launch();
  venues = await Venues.start();
  gateway = await Gateway.start(venues, { owners: { "syn-main": ["bob"], "moon-main": ["alice", "bob"] } });
});
after(async () => {
  await browser?.close();
  await Promise.all(wires.map((wire) => wire.stop()));
  await gateway?.stop();
  await venues?.stop();
});

async function visit(user, { url = gateway.page, ttl, ...options } = {}) {
  const page = await open(browser, url, options);
  await showToken(page, await gateway.token(user, { ttl }));
  await linked(page, "live");
  return page;
}

/** Ends the visit; nothing may have gone wrong in it. */
async function leave(page) {
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

const linked = (page, phase) => page.waitForSelector(`#link[data-phase="${phase}"]`);
/** The line in sight that says all of these. */
const line = (page, ...texts) => texts.reduce((lines, text) => lines.filter({ hasText: text }), page.locator(".line:not([hidden])")).first();
const row = (page, asset, wallet) =>
  page.locator('.line[data-kind="row"]:not([hidden])')
    .filter({ has: page.locator(".name", { hasText: new RegExp(`^${asset}$`) }) })
    .filter({ has: page.locator(".place", { hasText: wallet }) });
async function reads(locator, text) {
  let found;
  const same = async () => {
    found = await locator.textContent({ timeout: 5000 }).catch(() => null);
    return text instanceof RegExp ? text.test(found ?? "") : found === text;
  };
  await until("", same).catch(() => assert.fail(`it reads ${found}, not ${text}`));
}

test("a snapshot is shown with every digit, and what is unknown as a dash", async () => {
  const page = await visit("alice");
  const btc = row(page, "BTC", "exchange");
  await reads(btc.locator(".total"), "1.61169184");
  await reads(btc.locator(".locked"), "—");
  assert.match(await btc.locator(".locked").getAttribute("title"), /unknown/);
  await reads(row(page, "BNB", "spot").locator(".total"), "3.141592653589793238");
  await reads(row(page, "JPY", "exchange").locator(".total"), "-0.00000001");
  await reads(row(page, "VND", "1000004").locator(".total"), "850102477.1110636");
  await reads(page.locator("#whole"), "Complete: 3 accounts");
  await reads(page.locator("#who"), "alice");
  await leave(page);
});

test("points stand under each other in a column, whatever stands around them", async () => {
  const page = await visit("alice");
  await row(page, "BNB", "spot").waitFor();
  const places = await page.locator('.line[data-kind="row"]:not([hidden]) .total .fraction').evaluateAll((spans) =>
    spans.filter((span) => span.textContent !== "").map((span) => Math.round(span.getBoundingClientRect().left)));
  assert.ok(places.length > 10);
  assert.equal(new Set(places).size, 1, String(places));
  const cut = await page.locator(".line:not([hidden]) :is(.whole, .fraction)").evaluateAll((spans) =>
    spans.filter((span) => span.scrollWidth > span.clientWidth + 1).map((span) => span.textContent));
  assert.deepEqual(cut, [], "numbers that do not fit");
  await leave(page);
});

test("a change flashes, says its cause, and draws the row's line", async () => {
  const page = await visit("alice");
  const usd = row(page, "USD", "exchange");
  await reads(usd.locator(".total"), "25000.5");
  // A flash is over soon: the page looks for it before it can begin.
  const flash = page.locator('.total[data-flash="up"]').waitFor();
  await venues.deposit("bfx-main", "exchange", "USD", "10.25");
  await flash;
  await reads(usd.locator(".total"), "25010.75");
  await reads(usd.locator(".changed"), /deposit · ▴ 10\.25$/);
  await until("a line is drawn", async () => (await usd.locator("path").getAttribute("d")).length > 10);
  await until("the flash ends", async () => (await page.locator("[data-flash]").count()) === 0);
  await leave(page);
});

test("a venue that drops turns its rows and totals stale, with age and reason, and back", async () => {
  const page = await visit("alice");
  await venues.fault("refuse", "bitfinex");
  await venues.fault("disconnect", "bitfinex");
  const head = page.locator('.line[data-kind="group"]', { hasText: "bfx-main" });
  await reads(head.locator(".changed"), /^stale for \d+ s: .+/);
  await reads(row(page, "BTC", "exchange").locator(".state"), /^stale \d+ s$/);
  await reads(row(page, "BTC", "exchange").locator(".total"), "1.61169184");
  await reads(row(page, "ETH", "1000004").locator(".state"), "live");
  await reads(page.locator("#whole"), "Incomplete: 1 of 3 accounts not live");
  await page.click('.views [data-view="asset"]');
  const group = (asset) => page.locator('.line[data-kind="group"]', { has: page.locator(".name", { hasText: new RegExp(`^${asset}$`) }) });
  const total = group("BTC");
  await reads(total.locator(".state"), "part stale");
  await reads(total.locator(".changed"), "bfx-main stale");
  // What is stale, and what is live and may merely be more, differ in words and looks.
  const looks = (asset) => group(asset).locator(".total").evaluate((cell) => getComputedStyle(cell).fontStyle);
  await reads(group("JPY").locator(".state"), "stale");
  await reads(group("JPY").locator(".changed"), "bfx-main stale");
  await reads(group("ETH").locator(".state"), "incomplete");
  await reads(group("ETH").locator(".changed"), "without bfx-main");
  assert.deepEqual([await looks("BTC"), await looks("JPY"), await looks("ETH")], ["italic", "italic", "normal"]);
  await venues.heal();
  await reads(total.locator(".state"), "complete");
  await page.click('.views [data-view="account"]');
  await reads(head.locator(".changed"), /^live for/);
  await leave(page);
});

test("a withdrawn value is a dash that remembers what was known", async () => {
  const page = await visit("alice");
  await venues.fault("calc_silence", "bitfinex");
  await venues.fault("null_available", "bitfinex");
  await venues.deposit("bfx-main", "exchange", "SAN", "1");
  const available = row(page, "SAN", "exchange").locator(".available");
  await reads(available, "—");
  assert.match(await available.getAttribute("title"), /last known 19\.76, .* ago|last known 19\.76, just now/);
  await venues.heal();
  await leave(page);
});

test("a total is exact, and there is none while a part is unknown", async () => {
  const page = await visit("alice");
  await page.click('.views [data-view="asset"]');
  // What floating point gets wrong.
  await venues.set("bfx-main", "exchange", "SUM", "0.1");
  await venues.set("moon-main", "1000004", "SUM", "0.2");
  const sum = page.locator('.line[data-kind="group"]', { has: page.locator(".name", { hasText: /^SUM$/ }) });
  await reads(sum.locator(".total"), "0.3");
  const btc = page.locator('.line[data-kind="group"]', { has: page.locator(".name", { hasText: /^BTC$/ }) });
  // 1.61169184 + 0.30 + 2.130511
  await reads(btc.locator(".total"), "4.04220284");
  await reads(btc.locator(".locked"), "—");
  assert.match(await btc.locator(".locked").getAttribute("title"), /no total: 2 of 3 parts unknown/);
  await leave(page);
});

test("search, filters, dust and sorting show what they say", async () => {
  const page = await visit("alice");
  const names = () => page.locator('.line[data-kind="row"]:not([hidden]) .name').allTextContents();
  await page.keyboard.press("/");
  await page.keyboard.type("exch btc");
  await until("one row is found", async () => (await names()).join() === "BTC");
  await page.fill("#find", "");
  await page.selectOption("#venue", "p99");
  await until("one venue is shown", async () => (await names()).sort().join() === "BNB,DF,DUST,USDC,USDT");
  await page.selectOption("#show", "nonzero");
  await until("zero is hidden", async () => (await names()).sort().join() === "BNB,DF,DUST,USDT");
  await page.selectOption("#show", "nodust");
  await until("dust is hidden", async () => (await names()).sort().join() === "BNB,DF,USDT");
  await page.click(".head .total button");
  await until("the largest is first", async () => (await names()).join() === "USDT,DF,BNB");
  await page.click(".head .total button");
  await until("the smallest is first", async () => (await names()).join() === "BNB,DF,USDT");
  assert.equal(await page.locator('.head .total[aria-sort="ascending"]').count(), 1);
  await leave(page);
});

test("everything is reached by keyboard, and a number is copied exactly", async () => {
  const page = await visit("alice");
  await page.selectOption("#venue", "p99");
  await page.focus("#grid");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  const active = await page.locator("#grid").getAttribute("aria-activedescendant");
  await reads(page.locator(`[id="${active}"]`), "3.141592653589793238");
  await page.keyboard.press("c");
  await until("it is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) === "3.141592653589793238");
  await page.keyboard.press("Home");
  for (let i = 0; i < 2; i += 1) await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  await until("the group is folded", async () => (await page.locator('.line[data-kind="row"]:not([hidden])').count()) === 0);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await reads(page.locator("#details-title"), "BNB");
  await page.keyboard.press("Escape");
  await page.locator("#details").waitFor({ state: "hidden" });
  await leave(page);
});

test("a row's details stay up to date and list what happened", async () => {
  const page = await visit("alice");
  await row(page, "USDT", "spot").locator(".name").click();
  await reads(page.locator("#details-title"), "USDT");
  await venues.set("p99-main", "spot", "USDT", "25000.750001", "1200.5");
  await reads(page.locator("#details tbody tr >> nth=0"), /\+0\.000001/);
  await page.click("#copy-total");
  const shown = await page.locator("#details dd .number >> nth=0").textContent();
  await until("it is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) === shown);
  await page.click("#details-close");
  await leave(page);
});

test("the status view tells each account's state, fees and permissions", async () => {
  const page = await visit("alice");
  await page.click('.views [data-view="status"]');
  const card = (id) => page.locator(`article[aria-label="${id}"]`);
  await reads(card("moon-main").locator(".facts >> nth=0"), /maker [\d.]+ %, taker [\d.]+ %/);
  await reads(card("bfx-main"), /Permissions of the key.*wallets.*read/);
  await reads(card("p99-main").locator(".stands"), /^live for/);
  // The age of the last proof is asked for while the view is open: no frame tells it.
  await page.waitForResponse(async (answer) => answer.url().endsWith("/v1/accounts") && answer.ok());
  await reads(card("bfx-main").locator(".facts >> nth=0"), /Proven alive(just now|\d+ s ago)/);
  assert.equal(await page.locator("article").count(), 3);
  await leave(page);
});

test("a token about to end is renewed without an interruption", async () => {
  const sockets = [];
  const page = await open(browser, gateway.page);
  page.on("websocket", (socket) => sockets.push(socket));
  await showToken(page, await gateway.token("alice", { ttl: "50s" }));
  await linked(page, "live");
  await page.locator("#notice", { hasText: "ends within a minute" }).waitFor();
  await page.click("#token-open");
  await showToken(page, await gateway.token("alice"));
  await page.locator("#notice").waitFor({ state: "hidden" });
  await linked(page, "live");
  assert.equal(sockets.length, 1);
  await leave(page);
});

test("an expired token leaves the rows stale until a new one is shown", async () => {
  const page = await visit("alice", { ttl: "10s" });
  await page.waitForSelector("#token[open]");
  await reads(page.locator("#link"), "Needs a token");
  await reads(row(page, "BTC", "exchange").locator(".total"), "1.61169184");
  await reads(row(page, "BTC", "exchange").locator(".state"), /^stale/);
  await showToken(page, await gateway.token("alice"));
  await linked(page, "live");
  await reads(row(page, "BTC", "exchange").locator(".state"), "live");
  await leave(page);
});

test("a refused token says why, and nothing is shown", async () => {
  const page = await open(browser, gateway.page);
  await showToken(page, "not-a-token");
  await page.locator("#token-problem", { hasText: /\S/ }).waitFor();
  assert.equal(await page.locator(".line:not([hidden])").count(), 0);
  await leave(page);
});

test("the token is in no address and no lasting storage, and only kept if wished", async () => {
  const secret = await gateway.token("alice");
  const page = await open(browser, gateway.page);
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("websocket", (socket) => requests.push(socket.url()));
  await page.uncheck("#token-keep");
  await showToken(page, secret);
  await linked(page, "live");
  const kept = () => page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie, location.href]));
  assert.ok(!(await kept()).includes(secret));
  await page.reload();
  await page.waitForSelector("#token[open]");
  await showToken(page, secret);
  await linked(page, "live");
  assert.ok((await kept()).includes(secret));
  assert.ok(!(await page.evaluate(() => JSON.stringify({ ...localStorage }))).includes(secret));
  await page.reload();
  await linked(page, "live");
  assert.ok(requests.length > 0 && !requests.some((url) => url.includes(secret)));
  await leave(page);
});

test("a cut connection is told, and resumed from where it was", async () => {
  const wire = await Wire.to(gateway.port);
  wires.push(wire);
  const frames = [];
  const page = await open(browser, `http://127.0.0.1:${wire.port}/`);
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => frames.push(JSON.parse(payload))));
  await showToken(page, await gateway.token("alice"));
  await linked(page, "live");
  wire.break();
  await linked(page, "waiting");
  await reads(row(page, "DF", "spot").locator(".state"), /^stale/);
  await venues.set("p99-main", "spot", "DF", "10001.5", "100");
  wire.mend();
  await linked(page, "live");
  await reads(row(page, "DF", "spot").locator(".total"), "10101.5");
  const resumed = frames.filter(({ type }) => type === "subscribed").map(({ resumed }) => resumed);
  assert.equal(resumed[0], false);
  assert.equal(resumed.at(-1), true);
  // Attempts while the wire was broken are the browser's to complain of.
  page.faults = page.faults.filter((fault) => !fault.includes("WebSocket connection to"));
  await leave(page);
});

test("a restarted gateway is found again with its rows", async () => {
  const page = await visit("alice");
  await gateway.halt();
  await reads(row(page, "BTC", "exchange").locator(".state"), /^stale/);
  assert.match(await row(page, "BTC", "exchange").locator(".state").getAttribute("title"), /the gateway is not heard/);
  await venues.set("p99-main", "spot", "USDC", "77.70");
  await gateway.run();
  await linked(page, "live");
  await reads(row(page, "USDC", "spot").locator(".total"), "77.7");
  await reads(page.locator("#whole"), "Complete: 3 accounts");
  page.faults = page.faults.filter((fault) => !fault.includes("WebSocket connection to"));
  await leave(page);
});

test("two users in two contexts see their own accounts and nothing of the other's", async () => {
  const [alice, bob] = [await open(browser, gateway.page), await open(browser, gateway.page)];
  const heard = { alice: "", bob: "" };
  alice.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => (heard.alice += payload)));
  bob.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => (heard.bob += payload)));
  await showToken(alice, await gateway.token("alice"));
  await showToken(bob, await gateway.token("bob"));
  await Promise.all([linked(alice, "live"), linked(bob, "live")]);
  await venues.deposit("moon-main", "1000004", "SOL", "1");
  await venues.deposit("syn-main", "0x742d35Cc6634C0532925a3b844Bc454e4438f44e", "USDC.e", "1");
  await venues.set("p99-main", "spot", "DUST", "1");
  await venues.deposit("moon-main", "1000004", "SOL", "1");
  for (const page of [alice, bob]) await reads(row(page, "SOL", "1000004").locator(".total"), "312.000000001");
  for (const [page, theirs, foreign] of [[alice, ["p99-main", "bfx-main"], ["syn-main", "synthesis", "USDC.e"]], [bob, ["syn-main"], ["p99", "bfx", "bitfinex", "DUST"]]]) {
    const text = `${await page.content()} ${page === alice ? heard.alice : heard.bob}`;
    for (const word of theirs) assert.ok(text.includes(word), word);
    for (const word of foreign) assert.ok(!text.includes(word), word);
    await leave(page);
  }
});

test("another user's token begins an empty page", async () => {
  const page = await visit("alice");
  await page.click("#token-open");
  await showToken(page, await gateway.token("bob"));
  await reads(page.locator("#who"), "bob");
  await linked(page, "live");
  await line(page, "syn-main").waitFor();
  assert.equal(await page.locator(".line:not([hidden])", { hasText: "bfx-main" }).count(), 0);
  await leave(page);
});

test("what has no room beside a huge number is folded away, never the state, and every digit is in the details", async () => {
  const page = await visit("alice", { viewport: { width: 1024, height: 700 } });
  const [available, locked] = ["123456789012345678901234.123456789012345678", "99999999999999999999999.999999999999999999"];
  const large = row(page, "HUGE", "spot");
  await venues.set("p99-main", "spot", "HUGE", available, locked);
  await reads(large.locator(".total"), "223456789012345678901234.123456789012345677");
  await page.locator(".head .locked").waitFor({ state: "hidden" });
  const right = await large.locator(".state").evaluate((cell) => cell.getBoundingClientRect().right);
  assert.ok(right <= 1024, `the state ends at ${right}`);
  const cut = await large.locator(".total span").evaluateAll((spans) => spans.filter((span) => span.scrollWidth > span.clientWidth + 1).length);
  assert.equal(cut, 0, "the total is whole");
  await large.locator(".name").click();
  for (const [at, amount] of [[1, available], [2, locked]]) await reads(page.locator(`#details dd .number >> nth=${at}`), amount);
  await page.keyboard.press("Escape");
  // With another question that leaves it out, the columns are back.
  await page.selectOption("#venue", "bitfinex");
  await page.locator(".head .locked").waitFor();
  await leave(page);
});
