// What is to be shown, in order: entries filtered, grouped, sorted, with totals that say whether they are whole. Knows no element.

import { type Amount, type Balance, type Client, accountKey, decimal, isProven } from "@balance-gateway/client";
import { AMOUNTS, type AmountName, comparePieces, type Entry, type Pieces, pieces } from "./entries.js";

export type View = "account" | "asset" | "status";
export type SortColumn = "name" | "place" | AmountName | "changed" | "state";
export type Show = "all" | "nonzero" | "nodust";

export interface Query {
  view: View;
  find: string;
  venue: string;
  account: string;
  show: Show;
  sort: { column: SortColumn; ascending: boolean };
  /** Groups that are not as they come: an asset of one row comes folded, all else unfolded. */
  turned: Set<string>;
}

/** Below this an amount is dust. Assets differ in worth; the page knows no prices, so the bound is one for all and says so. */
const DUST = pieces("0.0001");

export interface Sum {
  /** `undefined`: a part is not known, so there is no total. */
  readonly amount: Amount | undefined;
  /** Of the parts that are known. */
  readonly known: Amount;
  readonly unknown: number;
}

export interface Group {
  readonly kind: "group";
  readonly key: string;
  readonly folded: boolean;
  /** Rows in it that are shown when unfolded. */
  readonly shown: number;
  /** All rows of it within the chosen venue and account. */
  readonly entries: readonly Entry[];
  readonly asset?: string;
  readonly sums?: Record<AmountName, Sum>;
  /** Accounts whose rows in it are not live, each with the word for it. */
  readonly stale: readonly string[];
  /** True where no row of it is live. */
  readonly dead: boolean;
  /** What else keeps the sums from being the whole: accounts that may hold more, parts that are not known. */
  readonly lacking: readonly string[];
}

export interface Line {
  readonly kind: "row";
  readonly key: string;
  readonly entry: Entry;
}

export type Item = Group | Line;
export type Width = readonly [whole: number, fraction: number, both: number];

export interface Model {
  readonly items: readonly Item[];
  readonly rows: number;
  readonly shown: number;
  /** Most digits before and after the point, and of both in one amount, by column. */
  readonly widths: Record<AmountName, Width>;
}

export function build(client: Client, entries: Iterable<Entry>, query: Query): Model {
  const within = [...entries].filter(({ row }) =>
    (query.venue === "" || row.venue === query.venue) && (query.account === "" || row.account === query.account));
  const groups = new Map<string, Entry[]>();
  for (const entry of within) {
    const key = query.view === "asset" ? entry.row.asset : accountKey(entry.row);
    const group = groups.get(key);
    if (group) group.push(entry);
    else groups.set(key, [entry]);
  }
  if (query.view === "account") {
    // An account without rows is told too: it may hold what is not known yet.
    for (const [key, account] of client.accounts) {
      const chosen = (query.venue === "" || account.venue === query.venue) && (query.account === "" || account.account === query.account);
      if (chosen && !groups.has(key)) groups.set(key, []);
    }
  }
  return arrange(client, groups, query, within.length);
}

function arrange(client: Client, groups: Map<string, Entry[]>, query: Query, rows: number): Model {
  const items: Item[] = [];
  const widths: Record<AmountName, [number, number, number]> = { total: [4, 0, 4], available: [4, 0, 4], locked: [4, 0, 4] };
  const unproven = query.view === "asset" ? accountsUnproven(client, query) : new Map<string, string>();
  const passes = test(query);
  const order = sorter(query);
  let shown = 0;
  const made = [...groups].map(([key, entries]): [Group, Entry[]] => {
    const visible = entries.filter(passes).sort(order);
    return [group(client, key, entries, visible.length, query, unproven), visible];
  });
  made.sort(([a, aRows], [b, bRows]) => groupOrder(query, a, b, aRows, bRows));
  for (const [head, visible] of made) {
    if (visible.length === 0 && (query.find !== "" || query.view === "asset")) continue;
    shown += visible.length;
    items.push(head);
    for (const name of AMOUNTS) widen(widths[name], head.sums?.[name].amount);
    if (head.folded) continue;
    for (const entry of visible) {
      items.push({ kind: "row", key: entry.key, entry });
      for (const name of AMOUNTS) widen(widths[name], entry.row[name]);
    }
  }
  return { items, rows, shown, widths };
}

function widen(width: [number, number, number], amount: Amount | null | undefined): void {
  if (!amount) return;
  const point = amount.indexOf(".");
  const whole = point < 0 ? amount.length : point;
  if (whole > width[0]) width[0] = whole;
  const fraction = point < 0 ? 0 : amount.length - point - 1;
  if (fraction > width[1]) width[1] = fraction;
  if (whole + fraction > width[2]) width[2] = whole + fraction;
}

function test(query: Query): (entry: Entry) => boolean {
  const words = query.find.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return ({ row, text }) => words.every((word) => text.includes(word)) && (query.show === "all" || !small(row, query.show));
}

/** True where every amount is zero (or dust). What is not known may be anything, so it is never small. */
function small(row: Balance, show: Show): boolean {
  if (row.total === null && (row.available === null || row.locked === null)) return false;
  return AMOUNTS.every((name) => {
    const amount = row[name];
    if (amount === null) return true;
    if (decimal.isZero(amount)) return true;
    return show === "nodust" && comparePieces(pieces(decimal.abs(amount)), DUST) < 0;
  });
}

function group(client: Client, key: string, entries: Entry[], shown: number, query: Query, unproven: Map<string, string>): Group {
  const folded = query.turned.has(key) !== (query.view === "asset" && entries.length === 1);
  if (query.view === "account") {
    return { kind: "group", key, folded, shown, entries, stale: [], dead: false, lacking: [] };
  }
  const sums = Object.fromEntries(AMOUNTS.map((name) => [name, sum(entries, name)])) as Record<AmountName, Sum>;
  const parts = new Set(entries.map(({ row }) => accountKey(row)));
  const without = [...unproven.keys()].filter((of) => !parts.has(of)).map((of) => client.accounts.get(of)?.account ?? of);
  const stale = entries.filter(({ row }) => client.stateOf(row) !== "live");
  const told = stale.map(({ row }) => `${row.account} ${unproven.get(accountKey(row)) ?? client.stateOf(row)}`);
  const lacking: string[] = [];
  if (without.length > 0) lacking.push(`without ${without.join(", ")}`);
  if (leftOut(client, query, unproven)) lacking.push("rows were left out");
  if (sums.total.unknown > 0) lacking.push(`${sums.total.unknown} of ${entries.length} unknown`);
  return { kind: "group", key, folded, shown, entries, asset: key, sums, stale: [...new Set(told)], dead: stale.length === entries.length, lacking };
}

function sum(entries: Entry[], name: AmountName): Sum {
  const known: Amount[] = [];
  for (const { row } of entries) {
    const amount = row[name];
    if (amount !== null) known.push(amount);
  }
  const amount = decimal.sum(known);
  const unknown = entries.length - known.length;
  return { amount: unknown > 0 ? undefined : amount, known: amount, unknown };
}

/** Accounts that may hold more than is known, so that no total across accounts is whole; each with the word for its state. */
function accountsUnproven(client: Client, query: Query): Map<string, string> {
  const unproven = new Map<string, string>();
  for (const [key, account] of client.accounts) {
    if (query.venue !== "" && account.venue !== query.venue) continue;
    if (query.account !== "" && account.account !== query.account) continue;
    const state = client.accountStateOf(account);
    if (!isProven(state)) unproven.set(key, state.replace("_", " "));
  }
  return unproven;
}

/** True where all accounts are proven and the gateway says all the same that there is more than it sent. */
function leftOut(client: Client, query: Query, unproven: Map<string, string>): boolean {
  return unproven.size === 0 && !client.complete && query.venue === "" && query.account === "";
}

function collate(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** By name where all else is equal, so that rows never swap places by chance. */
function sorter({ view, sort: { column, ascending } }: Query): (a: Entry, b: Entry) => number {
  const sign = ascending ? 1 : -1;
  const place = (row: Balance) => `${row.venue} ${row.account} ${row.wallet}`;
  const byName = (a: Entry, b: Entry) => view === "asset"
    ? collate(place(a.row), place(b.row))
    : collate(a.row.asset, b.row.asset) || collate(a.row.wallet, b.row.wallet);
  switch (column) {
    case "name":
      return (a, b) => sign * byName(a, b);
    case "place":
      return (a, b) => sign * collate(place(a.row), place(b.row)) || byName(a, b);
    case "changed":
      return (a, b) => sign * (a.row.changed_ts - b.row.changed_ts) || byName(a, b);
    case "state":
      return (a, b) => sign * collate(a.row.state, b.row.state) || byName(a, b);
    default:
      return (a, b) => byAmount(a.row[column], b.row[column], sign) || byName(a, b);
  }
}

const PIECES = new Map<Amount, Pieces>();

/** Amounts that were taken apart before. Bounded: emptied when it has grown beyond what a page shows. */
function piecesOf(amount: Amount): Pieces {
  let found = PIECES.get(amount);
  if (!found) {
    if (PIECES.size > 100_000) PIECES.clear();
    PIECES.set(amount, (found = pieces(amount)));
  }
  return found;
}

/** Unknown amounts come last in either direction. */
function byAmount(a: Amount | null | undefined, b: Amount | null | undefined, sign: number): number {
  if (a == null || b == null) return (a == null ? 1 : 0) - (b == null ? 1 : 0);
  return sign * comparePieces(piecesOf(a), piecesOf(b));
}

function groupOrder({ view, sort: { column, ascending } }: Query, a: Group, b: Group, aRows: Entry[], bRows: Entry[]): number {
  const sign = ascending ? 1 : -1;
  const byName = collate(a.key, b.key);
  if (column === "changed") {
    const newest = (rows: Entry[]) => rows.reduce((at, { row }) => Math.max(at, row.changed_ts), 0);
    return sign * (newest(aRows) - newest(bRows)) || byName;
  }
  if (view === "asset" && (column === "total" || column === "available" || column === "locked")) {
    return byAmount(a.sums?.[column].amount, b.sums?.[column].amount, sign) || byName;
  }
  return column === "name" || column === "place" ? sign * byName : byName;
}
