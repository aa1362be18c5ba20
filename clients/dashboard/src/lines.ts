// What stands in the cells of a line: a row, or a group's head. The elements are the grid's and are used again and again.

import { type Account, accountKey, type Balance, type Client } from "@balance-gateway/client";
import { setAttribute, setText } from "./dom.js";
import { AMOUNTS, type AmountName, type Direction, type Entry } from "./entries.js";
import type { Group, Item, Line } from "./model.js";
import { showAmount } from "./number.js";
import { drawSpark } from "./spark.js";
import { accountState, age, ago, clock, count, rowState, shorten, type State } from "./words.js";

/** How long a change is shown. */
export const FLASH_MS = 1600;

/** The elements of one line, in the columns' order. */
export interface Cells {
  readonly line: HTMLElement;
  readonly name: HTMLElement;
  readonly place: HTMLElement;
  readonly total: HTMLElement;
  readonly available: HTMLElement;
  readonly locked: HTMLElement;
  readonly changed: HTMLElement;
  readonly history: HTMLElement;
  readonly spark: SVGSVGElement;
  readonly state: HTMLElement;
}

export const COLUMNS = ["name", "place", "total", "available", "locked", "changed", "history", "state"] as const;
export type Column = (typeof COLUMNS)[number];

/** What a line was last painted from: where nothing of it differs, the line says already what it would say. */
const painted = new WeakMap<HTMLElement, readonly unknown[]>();

export function paint(client: Client, cells: Cells, item: Item, now: number): void {
  const account = item.kind === "group" ? client.accounts.get(item.key) : client.accounts.get(accountKey(item.entry.row));
  const subject = item.kind === "group" ? item : item.entry.row;
  // Ages go by the second.
  const from = [subject, account, client.status.phase, cells.line.dataset.view, Math.floor(now / 1000)];
  const before = painted.get(cells.line);
  if (before && from.every((value, i) => value === before[i])) return;
  painted.set(cells.line, from);
  if (item.kind === "group") paintGroup(client, cells, item, account, now);
  else paintRow(client, cells, item, now);
}

function paintState(cells: Cells, state: State, word: string): void {
  cells.line.dataset.state = state.kind;
  setText(cells.state, word);
  setAttribute(cells.state, "title", state.text);
}

function paintRow(client: Client, cells: Cells, { entry }: Line, now: number): void {
  const { row } = entry;
  const byAsset = cells.line.dataset.view === "asset";
  const name = byAsset ? `${row.account} · ${row.venue}` : shorten(row.asset, 17);
  setText(cells.name, name);
  setAttribute(cells.name, "title", byAsset ? name : row.asset);
  setText(cells.place, shorten(row.wallet, 16));
  setAttribute(cells.place, "title", row.wallet);
  for (const column of AMOUNTS) {
    showAmount(cells[column], row[column]);
    setAttribute(cells[column], "title", amountHint(row, column, now));
    cells[column].classList.toggle("known-before", row[column] === null && column === "available" && row.last_known !== undefined);
  }
  const state = rowState(client, row, now);
  paintState(cells, state, state.word);
  paintChange(cells, entry, now);
  drawSpark(cells.spark, entry.past, now);
  flash(cells, entry, now);
}

/** What a pointer that rests on an amount is told. */
export function amountHint(row: Balance, column: AmountName, now: number): string | undefined {
  const amount = row[column];
  if (amount !== null) {
    const basis = row.basis?.[column];
    const origin = basis === "derived" ? " (derived by the venue's own identity)" : basis === "absent" ? " (no longer listed by the venue)" : "";
    return `${amount}${origin}`;
  }
  if (column === "available" && row.last_known) {
    return `unknown; last known ${row.last_known.available}, ${ago(now - row.last_known.ts)}`;
  }
  return "unknown: the venue has not said";
}

function paintChange(cells: Cells, entry: Entry, now: number): void {
  const last = entry.past.length > 1 ? entry.past[entry.past.length - 1] : undefined;
  const cause = entry.row.cause;
  const delta = last?.delta && !/^-?0(\.0+)?$/.test(last.delta) ? last.delta : undefined;
  const sign = delta === undefined ? "" : delta.startsWith("-") ? `▾ ${delta.slice(1)}` : `▴ ${delta}`;
  const when = age(now - entry.row.changed_ts);
  const text = [when, cause?.type, sign].filter((part) => part).join(" · ");
  setText(cells.changed, text);
  const told = cause?.description ? `${cause.description}; ` : "";
  setAttribute(cells.changed, "title", `${told}${clock(entry.row.changed_ts)}`);
}

function paintGroup(client: Client, cells: Cells, group: Group, account: Account | undefined, now: number): void {
  for (const cell of [cells.name, cells.place]) cell.removeAttribute("title");
  for (const column of AMOUNTS) cells[column].classList.remove("known-before");
  drawSpark(cells.spark, [], now);
  stopFlash(cells);
  if (group.sums) return paintTotals(cells, group);
  setText(cells.name, account?.account ?? "");
  setText(cells.place, `${account?.venue ?? ""} · ${hiddenCount(group)}`);
  for (const column of AMOUNTS) {
    showAmount(cells[column], undefined);
    cells[column].removeAttribute("title");
  }
  if (!account) return;
  const state = accountState(client, account, now);
  paintState(cells, state, state.word);
  setText(cells.changed, state.text);
  setAttribute(cells.changed, "title", state.text);
}

function hiddenCount({ shown, entries }: Group): string {
  return shown === entries.length ? count(shown, "row") : `${shown} of ${count(entries.length, "row")}`;
}

/** Totals across accounts: whole only where every part is known and proven, and then so said. */
function paintTotals(cells: Cells, group: Group): void {
  setText(cells.name, shorten(group.asset ?? "", 17));
  setAttribute(cells.name, "title", group.asset);
  const venues = [...new Set(group.entries.map(({ row }) => row.venue))];
  setText(cells.place, `${venues.length > 1 ? `${venues.length} venues` : venues[0]} · ${hiddenCount(group)}`);
  const state = totalState(group);
  for (const column of AMOUNTS) {
    const sum = group.sums![column];
    showAmount(cells[column], sum.amount ?? null);
    const part = sum.unknown > 0 ? `no total: ${sum.unknown} of ${group.entries.length} parts unknown; the known ones add up to ${sum.known}` : undefined;
    setAttribute(cells[column], "title", part ?? (state.kind === "live" ? sum.known : `${sum.known}; ${state.text}`));
  }
  setText(cells.changed, [...group.stale, ...group.lacking].join("; "));
  setAttribute(cells.changed, "title", state.text);
  paintState(cells, state, state.word);
}

/** What is stale in it is one thing; that all of it is live and an account that may hold more is not, is another. */
function totalState({ stale, dead, lacking }: Group): State {
  const why = [...stale, ...lacking].join("; ");
  if (stale.length > 0) return { kind: "stale", word: dead ? "stale" : "part stale", text: `not all of it is proven: ${why}` };
  if (lacking.length > 0) return { kind: "partial", word: "incomplete", text: `what is shown is live, and there may be more: ${why}` };
  return { kind: "live", word: "complete", text: "every part is live" };
}

const running = new WeakMap<HTMLElement, { key: string; at: number; timer: number }>();

/** Lights the amounts up that changed, and says in `data-flash` which way. */
function flash(cells: Cells, entry: Entry, now: number): void {
  const { flash } = entry;
  const shown = running.get(cells.line);
  if (!flash || now - flash.at > FLASH_MS) {
    if (shown && shown.key !== entry.key) stopFlash(cells);
    return;
  }
  if (shown?.key === entry.key && shown.at === flash.at) return;
  stopFlash(cells);
  for (const column of AMOUNTS) {
    const direction: Direction | undefined = flash.columns[column];
    setAttribute(cells[column], "data-flash", direction);
    // A new animation each time, begun where the change was.
    for (const animation of direction ? cells[column].getAnimations() : []) animation.currentTime = now - flash.at;
  }
  const timer = window.setTimeout(() => stopFlash(cells), FLASH_MS - (now - flash.at));
  running.set(cells.line, { key: entry.key, at: flash.at, timer });
}

function stopFlash(cells: Cells): void {
  const shown = running.get(cells.line);
  if (!shown) return;
  clearTimeout(shown.timer);
  running.delete(cells.line);
  for (const column of AMOUNTS) cells[column].removeAttribute("data-flash");
}
