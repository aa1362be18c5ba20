// The client in a browser, on pages of another origin: the React example, and what only browsers have.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { Gateway, Venues, WAIT_MS, until } from "@balance-gateway/testkit";
import { launch } from "@balance-gateway/testkit/browser";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
let browser;
let venues;
let gateway;
let site;
let origin;
const scripts = {};

async function newPage() {
  const page = await browser.newPage();
  page.setDefaultTimeout(WAIT_MS);
  return page;
}

async function bundle(options) {
  const { outputFiles } = await build({ bundle: true, format: "esm", platform: "browser", write: false, define: { "process.env.NODE_ENV": '"production"' }, ...options });
  return outputFiles[0].text;
}

before(async () => {
  browser = await launch();
  scripts["/react.js"] = await bundle({ entryPoints: [here("../../typescript/examples/react/src/App.tsx")] });
  scripts["/client.js"] = await bundle({ stdin: { contents: 'export * from "@balance-gateway/client";', resolveDir: here(".") } });
  site = createServer(({ url }, response) => {
    const script = scripts[url];
    response.setHeader("content-type", script ? "text/javascript" : "text/html");
    response.end(script ?? `<!doctype html><title>Example</title><link rel="icon" href="data:,"><div id="root" data-url="${gateway.url}"></div>${url === "/react" ? '<script type="module" src="react.js"></script>' : ""}`);
  });
  await new Promise((ready) => site.listen(0, "127.0.0.1", ready));
  origin = `http://127.0.0.1:${site.address().port}`;
  venues = await Venues.start();
  gateway = await Gateway.start(venues, { server: `allowed_origins = ["${origin}"]` });
});
after(async () => {
  await browser?.close();
  site?.close();
  await gateway?.stop();
  await venues?.stop();
});

test("the React example shows balances and follows them", async () => {
  const page = await newPage();
  await page.goto(`${origin}/react`);
  await page.fill("input", await gateway.token("alice"));
  await page.click("button");
  const usd = page.locator("tr", { hasText: "bfx-main" }).filter({ hasText: "SAN" });
  await usd.locator("td", { hasText: "19.76" }).waitFor();
  await venues.deposit("bfx-main", "exchange", "SAN", "0.24");
  await usd.locator("td", { hasText: "20.00" }).waitFor();
  await page.getByText("live · complete").waitFor();
  await page.close();
});

test("a tab that is hidden gives its connection up and resumes when it is shown", async () => {
  const page = await newPage();
  const sockets = [];
  page.on("websocket", (socket) => {
    sockets.push(socket);
    socket.on("framereceived", ({ payload }) => (socket.heard = (socket.heard ?? "") + payload));
  });
  await page.goto(`${origin}/`);
  await page.evaluate(async ({ url, token }) => {
    const { connect } = await import("/client.js");
    window.client = connect({ url, getToken: () => token, pauseHiddenAfterMs: 0 });
    await window.client.ready();
  }, { url: gateway.url, token: await gateway.token("alice") });
  // The one thing a headless browser cannot be told from outside.
  const show = (state) => page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);
  await show("hidden");
  await until("it pauses", () => page.evaluate(() => window.client.status.phase === "paused"));
  await until("the connection is closed", () => sockets[0].isClosed());
  assert.equal(await page.evaluate(() => window.client.complete), false);
  await show("visible");
  await until("it is live", () => page.evaluate(() => window.client.status.phase === "live"));
  assert.equal(sockets.length, 2);
  assert.match(sockets[1].heard, /"resumed":true/);
  await page.close();
});

test("a page of an origin that is not allowed gets nothing", async () => {
  const page = await newPage();
  // Another name of the same machine is another origin.
  await page.goto(origin.replace("127.0.0.1", "localhost"));
  const phase = await page.evaluate(async ({ url, token }) => {
    const { connect } = await import("/client.js");
    const client = connect({ url, getToken: () => token });
    return new Promise((done) => client.on("status", ({ phase }) => phase === "waiting" && done([phase, client.rows.size])));
  }, { url: gateway.url, token: await gateway.token("alice") });
  assert.deepEqual(phase, ["waiting", 0]);
  await page.close();
});
