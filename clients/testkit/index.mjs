// For tests: real gateways against simulated venues, and a wire between client and gateway that can be cut or frozen. Nothing here
// stands in for the product; every process is the built binary, on ports that were free.

import { execFile, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
/** The program under test. */
export const BINARY = process.env.BALANCE_GATEWAY_BIN ?? join(root, "target/debug/balance-gateway");
const SECRET = "a-secret-for-tests-alone-0123456789abcdef";
/** Longer than anything takes, on whatever machine. */
export const WAIT_MS = 120_000;

/** Waits until `probe` gives something true, and gives that. Fails loudly with what it was waiting for. */
export async function until(what, probe, waitMs = WAIT_MS) {
  const end = Date.now() + waitMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${waitMs} ms in vain until ${what}`);
    await new Promise((turn) => setTimeout(turn, 10));
  }
}

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

function start(args, env = {}) {
  const child = spawn(BINARY, args, { stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env.PATH, ...env } });
  running.add(child);
  const process_ = { child, out: "", err: "", ended: undefined };
  child.stdout.on("data", (bytes) => (process_.out += bytes));
  child.stderr.on("data", (bytes) => (process_.err += bytes));
  process_.exit = new Promise((done) => child.on("exit", (code, signal) => {
    running.delete(child);
    process_.ended = code ?? signal;
    done(process_.ended);
  }));
  return process_;
}

async function printed(process_, pattern) {
  return until(`the program prints ${pattern}`, () => {
    const found = pattern.exec(process_.out);
    if (!found && process_.ended !== undefined) throw new Error(`it ended with ${process_.ended}: ${process_.err}`);
    return found;
  });
}

/** A port that was free a moment ago, below those that the system hands out by itself: nobody is given it by chance meanwhile. */
export async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 32_768);
    const server = createServer();
    const free = await new Promise((told) => {
      server.once("error", () => told(false));
      server.listen(port, "127.0.0.1", () => told(true));
    });
    if (!free) continue;
    await new Promise((closed) => server.close(closed));
    return port;
  }
}

/** The four simulated venues, and their controls. */
export class Venues {
  static async start({ rate = 0, seed = 1, owner = "alice" } = {}) {
    const process_ = start(["simulate", "--rate", String(rate), "--seed", String(seed), "--owner", owner]);
    const [, control] = await printed(process_, /# Controls: (http:\/\/\S+)\/ lists[\s\S]*# Ctrl-C stops them/);
    return Object.assign(new Venues(), { process: process_, control, accounts: process_.out });
  }

  async post(path, body) {
    const response = await fetch(this.control + path, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path} ${JSON.stringify(body)}: ${await response.text()}`);
  }
  /** Throws a fault, at one venue or at all that know it. */
  fault(fault, venue) {
    return this.post(venue ? `/fault?venue=${venue}` : "/fault", { fault });
  }
  heal() {
    return this.fault("heal");
  }
  /** Makes a row simply this. */
  set(account, wallet, asset, available, locked = "0") {
    return this.post("/move", { move: "set", account, wallet, asset, available, locked });
  }
  /** The same for many rows: `[asset, available]` each. */
  async setMany(account, wallet, rows) {
    const queue = rows[Symbol.iterator]();
    const work = async () => {
      for (const [asset, available] of queue) await this.set(account, wallet, asset, available);
    };
    await Promise.all(Array.from({ length: 16 }, work));
  }
  deposit(account, wallet, asset, amount) {
    return this.post("/move", { move: "deposit", account, wallet, asset, amount });
  }
  async book(account) {
    return (await fetch(`${this.control}/book/${account}`)).json();
  }
  async stop() {
    this.process.child.kill("SIGTERM");
    await this.process.exit;
  }
}

/** A gateway with its own configuration, that can be stopped and started again on the same port. */
export class Gateway {
  /** `owners`: account id → users, over what the simulators suggest. */
  static async start(venues, { owners = {}, server = "", heartbeatMs = 15_000 } = {}) {
    const gateway = new Gateway();
    gateway.dir = await mkdtemp(join(tmpdir(), "balance-gateway-"));
    gateway.config = join(gateway.dir, "gateway.toml");
    gateway.port = await freePort();
    gateway.adminPort = await freePort();
    let accounts = venues.accounts;
    for (const [id, users] of Object.entries(owners)) {
      const block = new RegExp(`(id = "${id}"\\nvenue = \\S+\\nowners = )\\[.*\\]`);
      if (!block.test(accounts)) throw new Error(`no account ${id} is simulated`);
      accounts = accounts.replace(block, `$1${JSON.stringify(users)}`);
    }
    const toml = `[server]
listen = "127.0.0.1:${gateway.port}"
admin_listen = "127.0.0.1:${gateway.adminPort}"
heartbeat_ms = ${heartbeatMs}
drain_ms = 1000
max_requests_per_second = 100000
request_burst = 100000
${server}
[[access.keys]]
algorithm = "HS256"
secret = "${SECRET}"
${accounts}`;
    await writeFile(gateway.config, toml, { mode: 0o600 });
    await gateway.run();
    return gateway;
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/v1/ws`;
  }
  get page() {
    return `http://127.0.0.1:${this.port}/`;
  }

  async run() {
    this.process = start(["--log-level", "warn", "serve", "--config", this.config]);
    await until("the gateway is ready", async () => {
      if (this.process.ended !== undefined) throw new Error(`it ended with ${this.process.ended}: ${this.process.err}`);
      return fetch(`http://127.0.0.1:${this.adminPort}/health/ready`).then((r) => r.ok, () => false);
    });
  }

  /** Ends it gracefully. */
  async halt() {
    this.process.child.kill("SIGTERM");
    return this.process.exit;
  }

  async stop() {
    if (this.process.ended === undefined) await this.halt();
    await rm(this.dir, { recursive: true, force: true });
  }

  /** A token of the gateway's own key. */
  async token(user, { ttl = "1h", accounts } = {}) {
    const args = ["token", "--sub", user, "--ttl", ttl, "--config", this.config];
    if (accounts) args.push("--accounts", accounts.join(","));
    return (await promisify(execFile)(BINARY, args)).stdout.trim();
  }

  /** The same snapshot over REST. */
  async balances(user) {
    const headers = { authorization: `Bearer ${await this.token(user)}` };
    return (await fetch(`http://127.0.0.1:${this.port}/v1/balances`, { headers })).json();
  }
}

/** `demo`, as a person would start it. */
export class Demo {
  static async start(...args) {
    const process_ = start(["demo", "--port", "0", "--admin-port", "0", "--control-port", "0", "--quiet", ...args]);
    const [, token] = await printed(process_, /TOKEN=(\S+)[\s\S]*wscat/);
    const address = (name) => new RegExp(`^${name}\\s+(\\S+)`, "m").exec(process_.out)?.[1];
    const found = { page: address("dashboard"), url: address("WebSocket"), control: address("faults")?.replace(/\/faults$/, "") };
    return Object.assign(new Demo(), { process: process_, token, ...found });
  }
  async stop() {
    this.process.child.kill("SIGTERM");
    return this.process.exit;
  }
}

/** A wire from a port of its own to another: it can be cut, and it can be frozen with the sockets kept open. */
export class Wire {
  #pairs = new Set();
  #frozen = false;
  #broken = false;

  static async to(port) {
    const wire = new Wire();
    wire.server = createServer((near) => wire.#join(near, port));
    await new Promise((ready) => wire.server.listen(0, "127.0.0.1", ready));
    wire.port = wire.server.address().port;
    wire.url = `ws://127.0.0.1:${wire.port}/v1/ws`;
    return wire;
  }

  #join(near, port) {
    if (this.#broken) return void near.destroy();
    this.made = (this.made ?? 0) + 1;
    const far = createConnection(port, "127.0.0.1");
    const pair = [near, far];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [pair, [far, near]]) {
      from.on("data", (bytes) => this.#frozen || to.write(bytes));
      from.on("error", end);
      from.on("close", end);
    }
  }

  /** Drops every connection without a word. */
  cut() {
    for (const pair of this.#pairs) pair.forEach((socket) => socket.destroy());
  }
  /** Connections are refused from now on; those that stand are cut. */
  break() {
    this.#broken = true;
    this.cut();
  }
  mend() {
    this.#broken = false;
  }
  /** Swallows every byte. What is swallowed does not come back: end it with `cut` and `thaw`. */
  freeze() {
    this.#frozen = true;
  }
  thaw() {
    this.#frozen = false;
  }
  async stop() {
    this.cut();
    await new Promise((closed) => this.server.close(closed));
  }
}
