// The client against the real gateway, faults included.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect, decimal, rowKey } from "@balance-gateway/client";
import { Gateway, Venues, Wire, until } from "@balance-gateway/testkit";

let venues;
let gateway;
const open = [];
const wires = [];

before(async () => {
  venues = await Venues.start();
  gateway = await Gateway.start(venues, { owners: { "syn-main": ["bob"] } });
});
after(async () => {
  open.forEach((client) => client.close());
  await Promise.all(wires.map((wire) => wire.stop()));
  await gateway.stop();
  await venues.stop();
});

function start(options) {
  const client = connect({ url: gateway.url, getToken: () => gateway.token("alice"), backoffMs: [20, 200], ...options });
  open.push(client);
  return client;
}

async function newWire(to = gateway) {
  const wire = await Wire.to(to.port);
  wires.push(wire);
  return wire;
}

const BTC = rowKey({ venue: "bitfinex", account: "bfx-main", wallet: "exchange", asset: "BTC" });
const account = (client, id) => [...client.accounts.values()].find((account) => account.account === id);
const phase = (client, phase) => until(`the client is ${phase}`, () => client.status.phase === phase);
const total = (client, key, wanted) => until(`the total is ${wanted}`, () => client.rows.get(key)?.total === wanted);

/** Rows as REST gives them, at the same point: what the client must hold. */
async function agrees(client) {
  await until("the client holds what REST gives", async () => {
    const { balances } = await gateway.balances("alice");
    const held = [...client.rows.values()].map((row) => JSON.stringify(row)).sort();
    const given = balances.map((row) => JSON.stringify(row)).sort();
    return JSON.stringify(held) === JSON.stringify(given);
  });
}

test("a snapshot is installed whole, with digits as the venue wrote them", async () => {
  const client = start();
  await client.ready();
  assert.equal(client.complete, true);
  assert.equal(client.status.user, "alice");
  assert.equal(client.rows.get(BTC).total, "1.61169184");
  assert.equal(account(client, "syn-main"), undefined);
  await agrees(client);
  client.close();
});

test("a change at the venue reaches listeners with the row before it", async () => {
  const client = start();
  await client.ready();
  const seen = [];
  client.on("change", (change) => seen.push(...change.rows));
  await venues.deposit("bfx-main", "exchange", "SAN", "0.000000000000000001");
  const { before: old, row } = await until("the change is told", () => seen.find(({ row }) => row.asset === "SAN"));
  assert.equal(decimal.subtract(row.total, old.total), "0.000000000000000001");
  client.close();
});

test("an async reader that is busy gets one merged change, and its end", async () => {
  const client = start();
  await client.ready();
  const reader = client[Symbol.asyncIterator]();
  for (const available of ["1", "2", "3.5"]) await venues.set("p99-main", "spot", "BUSY", available);
  await total(client, rowKey({ venue: "p99", account: "p99-main", wallet: "spot", asset: "BUSY" }), "3.5");
  const { value } = await reader.next();
  assert.deepEqual(value.rows.filter(({ row }) => row.asset === "BUSY").map(({ row, before: old }) => [row.total, old]), [["3.5", undefined]]);
  client.close();
  assert.deepEqual(await reader.next(), { done: true, value: undefined });
});

test("a venue that drops turns its rows stale and comes back live", async () => {
  const client = start();
  await client.ready();
  const state = () => client.stateOf(client.rows.get(BTC));
  await venues.fault("refuse", "bitfinex");
  await venues.fault("disconnect", "bitfinex");
  await until("the row is stale", () => state() === "stale");
  assert.equal(client.complete, false);
  assert.equal(account(client, "bfx-main").state, "stale");
  assert.ok(account(client, "bfx-main").reason.text);
  await venues.heal();
  await until("the row is live", () => state() === "live" && client.complete);
  client.close();
});

test("an account says how often it had to connect and to ask anew", async () => {
  const client = start();
  await client.ready();
  const counts = (id) => ({ reconnects: account(client, id).reconnect_count ?? 0, resyncs: account(client, id).resync_count ?? 0 });
  const [bitfinex, p99] = [counts("bfx-main"), counts("p99-main")];
  await venues.fault("disconnect", "bitfinex");
  await until("the reconnect is counted", () => counts("bfx-main").reconnects === bitfinex.reconnects + 1);
  await venues.fault("unsubscribe_all", "p99");
  await until("the resync is counted", () => counts("p99-main").resyncs > p99.resyncs);
  await until("all is live again", () => client.complete);
  client.close();
});

test("a cut connection resumes from where it was, without a snapshot", async () => {
  const wire = await newWire();
  const client = start({ url: wire.url });
  await client.ready();
  const kinds = [];
  client.on("change", ({ kind }) => kinds.push(kind));
  wire.break();
  await phase(client, "waiting");
  assert.equal(client.stateOf(client.rows.get(BTC)), "stale");
  assert.equal(client.complete, false);
  await venues.set("p99-main", "spot", "AWAY", "42.5");
  wire.mend();
  await total(client, rowKey({ venue: "p99", account: "p99-main", wallet: "spot", asset: "AWAY" }), "42.5");
  await phase(client, "live");
  assert.deepEqual([...new Set(kinds)], ["update"]);
  assert.ok(wire.made >= 2);
  await agrees(client);
  client.close();
});

test("a silent connection is called unproven, then given up", async () => {
  const quick = await Gateway.start(venues, { heartbeatMs: 2000 });
  const wire = await newWire(quick);
  const client = start({ url: wire.url, getToken: () => quick.token("alice"), connectTimeoutMs: 5000 });
  // Kept as it was told: either may be over before anybody looks.
  const told = [];
  const shown = () => client.rows.has(BTC) && client.stateOf(client.rows.get(BTC));
  client.on("status", ({ phase, problem }) => told.push({ phase, problem: problem?.code, row: shown() }));
  await client.ready();
  wire.freeze();
  await until("it is given up", () => told.some(({ problem }) => problem === "SILENCE"));
  assert.equal(told.find(({ phase }) => phase === "silent")?.row, "stale");
  wire.thaw();
  await phase(client, "live");
  client.close();
  await quick.stop();
});

test("a token about to end is renewed on the open connection", async () => {
  const wire = await newWire();
  const reasons = [];
  const client = start({
    url: wire.url,
    getToken: ({ reason }) => {
      reasons.push(reason);
      return gateway.token("alice", { ttl: reason === "expiring" ? "2h" : "50s" });
    },
  });
  await client.ready();
  await until("the new token is in use", () => client.status.expiresAt > Date.now() + 3_600_000);
  assert.deepEqual(reasons, ["connect", "expiring"]);
  assert.ok(!client.status.expiring);
  assert.equal(wire.made, 1);
  client.close();
});

test("an expired token is replaced by a new one, and the rows stay", async () => {
  let fresh = false;
  const client = start({
    getToken: ({ reason }) => (reason === "expiring" ? null : gateway.token("alice", { ttl: reason === "refused" ? "1h" : "10s" })),
  });
  client.on("status", ({ expiresAt }) => (fresh = expiresAt > Date.now() + 1_800_000));
  await client.ready();
  const rows = client.rows.size;
  await until("the token has expired", () => client.status.phase !== "live");
  assert.equal(client.rows.size, rows);
  await until("it goes on with a new one", () => client.status.phase === "live" && fresh);
  client.close();
});

test("a refused token is not shown twice; a new one is taken when there is one", async () => {
  const wire = await newWire();
  let token = "not-a-token";
  const client = start({ url: wire.url, getToken: () => token });
  await phase(client, "token");
  await until("the refusal is told", () => client.status.problem);
  assert.equal(client.status.problem.code, "TOKEN_INVALID");
  assert.equal(client.rows.size, 0);
  assert.equal(wire.made, 1);
  token = await gateway.token("alice");
  client.renew();
  await client.ready();
  client.close();
});

test("a token source that fails is asked again", async () => {
  let asked = 0;
  const client = start({
    getToken: async () => {
      asked += 1;
      if (asked < 3) throw new Error("the identity service is away");
      return gateway.token("alice");
    },
  });
  await client.ready();
  assert.equal(asked, 3);
  client.close();
});

test("a filter narrows, and another one replaces the rows", async () => {
  const client = start({ filter: { venues: ["p99"] } });
  await client.ready();
  assert.deepEqual([...new Set([...client.rows.values()].map((row) => row.venue))], ["p99"]);
  client.setFilter({ assets: ["VND"] });
  await until("the rows are replaced", () => client.rows.size === 1 && [...client.rows.values()][0].asset === "VND");
  client.close();
});

test("a request the gateway will never grant ends the client with its reason", async () => {
  const client = start({ filter: { venues: [] } });
  await assert.rejects(client.ready(), /BAD_FILTER/);
  assert.equal(client.status.phase, "closed");
});

test("orders come over their own channel", async () => {
  const client = start({ channel: "user:orders", getToken: () => gateway.token("bob") });
  await client.ready();
  const place = { move: "place", account: "syn-main", wallet: "0x742d35Cc6634C0532925a3b844Bc454e4438f44e", order: "34988418651", spend: "USDC.e", amount: "5" };
  await venues.post("/move", place);
  const order = await until("the order is told", () => [...client.rows.values()][0]);
  assert.equal(order.account, "syn-main");
  assert.equal(order.final, false);
  client.close();
});

test("thousands of rows in parts are installed together", async () => {
  const names = Array.from({ length: 1500 }, (_, i) => `PART${i}`);
  await venues.setMany("p99-main", "spot", names.map((name) => [name, "1.5"]));
  await until("the gateway has them", async () => (await gateway.balances("alice")).balances.length > 1500);
  const wire = await newWire();
  const client = start({ url: wire.url });
  const sizes = [];
  client.on("change", () => sizes.push(client.rows.size));
  await client.ready();
  assert.ok(sizes[0] > 1500, `the first change holds ${sizes[0]} rows`);
  await agrees(client);
  client.close();
});

test("a restarted gateway is found again, and only what differs is told", async () => {
  const client = start();
  await client.ready();
  const { epoch } = client.since;
  const changes = [];
  await gateway.halt();
  await until("it is gone", () => client.status.phase !== "live");
  assert.equal(client.stateOf(client.rows.get(BTC)), "stale");
  client.on("change", (change) => changes.push(change));
  await venues.set("bfx-main", "exchange", "BTC", "7.25");
  await gateway.run();
  await total(client, BTC, "7.25");
  await until("all is complete", () => client.complete);
  assert.notEqual(client.since.epoch, epoch);
  assert.ok(changes.some(({ kind }) => kind === "snapshot"));
  await agrees(client);
  client.close();
});
