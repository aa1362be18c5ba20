// The same client over the platform's own WebSocket, where Node has one only behind a flag: the main path once more.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

test("the platform's own WebSocket serves as well as the built-in one", async (t) => {
  if (globalThis.WebSocket) return t.skip("it is what all tests ran on");
  const file = fileURLToPath(new URL("client.test.mjs", import.meta.url));
  const args = ["--experimental-websocket", "--test", "--test-name-pattern=snapshot is installed|cut connection|refused token", file];
  // Within a test run the runner would report to this one instead of by its exit code.
  const { NODE_TEST_CONTEXT: _within, ...env } = process.env;
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  let told = "";
  child.stdout.on("data", (bytes) => (told += bytes));
  const code = await new Promise((done) => child.on("exit", done));
  assert.equal(code, 0, told);
  assert.match(told, /^(# pass|ℹ pass) 3$/m);
});
