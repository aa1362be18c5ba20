// The pure parts: exact arithmetic, the store's rules on order and parts, close bands, waits.

import assert from "node:assert/strict";
import { test } from "node:test";
import { afterClose, decimal, parseFrame, rowKey } from "@balance-gateway/client";
import { Backoff } from "../dist/backoff.js";
import { Store } from "../dist/store.js";

test("sums and differences keep every digit", () => {
  const huge = "9".repeat(78);
  for (const [a, b, sum] of [
    ["0.1", "0.2", "0.3"],
    ["1000.000", "310.25", "1310.250"],
    ["-0.00000001", "0", "-0.00000001"],
    ["0.000000000000000001", huge, `${huge}.000000000000000001`],
    ["5", "-5.00", "0.00"],
    ["-0.5", "0.2", "-0.3"],
  ]) {
    assert.equal(decimal.add(a, b), sum);
    assert.equal(decimal.compare(decimal.subtract(sum, b), a), 0);
  }
  assert.equal(decimal.sum([]), "0");
  assert.equal(decimal.shift("0.0005", 2), "0.05");
  assert.equal(decimal.shift("12", 2), "1200");
});

test("order and zero go by value, not by text", () => {
  assert.equal(decimal.compare("10", "9.99"), 1);
  assert.equal(decimal.compare("-2", "1"), -1);
  assert.equal(decimal.compare("1.0", "1"), 0);
  assert.deepEqual(["0", "-0", "0.000", "0.001", ""].map(decimal.isZero), [true, true, true, false, false]);
});

test("what is no plain decimal is refused", () => {
  for (const text of ["", "1e5", "NaN", ".5", "5.", "0x10", "1,5", " 1", "1".repeat(5000)]) {
    assert.throws(() => decimal.add(text, "0"), RangeError);
  }
});

const account = { venue: "v", account: "a", state: "live", since: 1 };
const row = (asset, gsn) => ({ venue: "v", account: "a", wallet: "w", asset, total: "1", available: null, locked: null, state: "live", gsn });
const snapshot = (gsn, balances, more = {}) => ({ type: "snapshot", channel: "user:balances", epoch: "e", prev: 0, gsn, complete: true, accounts: [account], balances, ...more });
const update = (prev, gsn, balances, more = {}) => ({ type: "update", channel: "user:balances", epoch: "e", prev, gsn, accounts: [], balances, ...more });

test("an update that does not follow is a gap and changes nothing", () => {
  for (const wrong of [update(8, 11, [row("B", 11)]), update(11, 12, [row("B", 12)]), update(10, 11, [row("B", 11)], { epoch: "f" })]) {
    const store = new Store("user:balances");
    store.take(snapshot(10, [row("A", 10)]));
    assert.equal(store.take(wrong), "gap");
    assert.equal(store.rows.size, 1);
    assert.deepEqual(store.since, { epoch: "e", gsn: 10 });
  }
});

test("parts are installed together, and only in order", () => {
  const store = new Store("user:balances");
  store.take(snapshot(3, [row("OLD", 3)]));
  assert.equal(store.take(snapshot(10, [row("A", 10)], { part: 1, parts: 2 })), "partial");
  assert.ok(store.rows.has(rowKey(row("OLD"))));
  const { change } = store.take(snapshot(10, [row("B", 9)], { part: 2, parts: 2 }));
  assert.deepEqual(change.rows.map(({ row }) => row.asset), ["A", "B"]);
  assert.deepEqual(change.removed.map((row) => row.asset), ["OLD"]);
  store.take(snapshot(20, [], { part: 1, parts: 3 }));
  assert.equal(store.take(snapshot(20, [], { part: 3, parts: 3 })), "gap");
  store.take(snapshot(21, [], { part: 1, parts: 2 }));
  assert.equal(store.take(snapshot(22, [], { part: 2, parts: 2 })), "gap");
  store.take(snapshot(23, [], { part: 1, parts: 2 }));
  assert.equal(store.take(update(10, 11, [])), "gap");
  assert.equal(store.rows.size, 2);
});

test("of a snapshot of another history only what differs is told", () => {
  const store = new Store("user:balances");
  store.take(snapshot(10, [row("A", 10), row("B", 9)]));
  const { change } = store.take(snapshot(2, [row("A", 1), { ...row("B", 2), total: "2" }], { epoch: "f" }));
  assert.deepEqual(change.rows.map(({ row }) => row.asset), ["B"]);
});

test("close codes are obeyed by band, also unknown ones", () => {
  const bands = [[4042, "stop"], [4177, "reauth"], [4299, "backoff"], [4300, "as_told"], [1006, "backoff"], [4999, "backoff"]];
  for (const [code, then] of bands) assert.equal(afterClose(code), then, String(code));
});

test("waits double, stay bounded and are spread", () => {
  for (const [random, waits] of [[() => 0, [50, 100, 200, 400, 500, 500]], [() => 1, [100, 200, 400, 800, 1000, 1000]]]) {
    const backoff = new Backoff(100, 1000, random);
    assert.deepEqual(waits.map(() => backoff.next()), waits);
    backoff.reset();
    assert.equal(backoff.next(), waits[0]);
  }
});

test("what is no frame is not read as one", () => {
  for (const text of ["", "x", "[]", "null", "{}", '{"type":1}']) assert.equal(parseFrame(text), undefined);
});
