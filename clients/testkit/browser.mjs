// A headless Chromium of its own per test file, and a watch over what a page must never do.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { WAIT_MS } from "./index.mjs";

const PLACES = [process.env.CHROMIUM_BIN, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const ARGS = [
  "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
  "--disable-domain-reliability", "--force-color-profile=srgb",
];

/** Starts the browser. Root has no sandbox to go into. */
export function launch() {
  const executablePath = PLACES.find((place) => place && existsSync(place));
  if (!executablePath) throw new Error("no Chromium is installed; set CHROMIUM_BIN or install the package chromium");
  const args = process.getuid?.() === 0 ? [...ARGS, "--no-sandbox"] : ARGS;
  return chromium.launch({ executablePath, args });
}

/** Opens a page in a context of its own. `page.faults` gathers what went wrong in it: console errors, exceptions, foreign requests. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const { host } = new URL(url);
  page.faults = [];
  page.on("console", (message) => message.type() === "error" && page.faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => page.faults.push(`exception: ${error.message}`));
  const foreign = (address) => new URL(address).host !== host && page.faults.push(`request to another host: ${address}`);
  page.on("request", (request) => foreign(request.url()));
  page.on("websocket", (socket) => foreign(socket.url()));
  await page.goto(url);
  return page;
}

/** Shows a token in the page's box. */
export async function showToken(page, token) {
  await page.fill("#token-text", token);
  await page.click("#token-use");
}
