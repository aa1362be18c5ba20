// One entry per row: the row, what it is found by, and what it was since the page was opened.

import { type Balance, type Cause, decimal, type RowChange } from "@balance-gateway/client";

/** Earlier states kept of one row. */
const HISTORY = 60;
/** Rows of which a history is kept. The page must not grow for as long as it is open. */
const HISTORIES = 20_000;

export interface Past {
  readonly ts: number;
  readonly total: string | null;
  readonly cause: Cause | undefined;
  /** By how much the total changed; `undefined` where one of both is not known. */
  readonly delta: string | undefined;
}

/** What a column shows. */
export const AMOUNTS = ["total", "available", "locked"] as const;
export type AmountName = (typeof AMOUNTS)[number];
export type Direction = "up" | "down" | "changed";

export interface Entry {
  readonly key: string;
  row: Balance;
  /** In lower case. */
  readonly text: string;
  /** Oldest first. */
  past: Past[];
  /** Columns to flash when next painted. */
  flash: { at: number; columns: Partial<Record<AmountName, Direction>> } | undefined;
}

export class Entries {
  readonly all = new Map<string, Entry>();
  #histories = 0;

  /** Takes a change in. True when rows came or went. */
  take(changes: readonly RowChange<Balance>[], removed: readonly string[], now: number): boolean {
    let moved = removed.length > 0;
    for (const key of removed) this.all.delete(key);
    for (const { key, row, before } of changes) {
      const entry = this.all.get(key);
      if (!entry) {
        moved = true;
        this.all.set(key, { key, row, text: textOf(row), past: [past(row, null)], flash: undefined });
        continue;
      }
      entry.row = row;
      if (before) this.#note(entry, before, row, now);
    }
    return moved;
  }

  #note(entry: Entry, before: Balance, row: Balance, now: number): void {
    const columns: Partial<Record<AmountName, Direction>> = {};
    for (const name of AMOUNTS) {
      const [was, is] = [before[name], row[name]];
      if (was === is) continue;
      const order = was === null || is === null ? 0 : decimal.compare(is, was);
      columns[name] = order > 0 ? "up" : order < 0 ? "down" : "changed";
    }
    if (Object.keys(columns).length === 0) return;
    entry.flash = { at: now, columns };
    if (entry.past.length === 1) this.#histories += 1;
    if (entry.past.length === 1 && this.#histories > HISTORIES) return;
    entry.past.push(past(row, before.total));
    if (entry.past.length > HISTORY) entry.past.shift();
  }
}

function past(row: Balance, before: string | null): Past {
  const delta = row.total === null || before === null ? undefined : decimal.subtract(row.total, before);
  return { ts: row.changed_ts, total: row.total, cause: row.cause, delta };
}

function textOf(row: Balance): string {
  return `${row.asset} ${row.wallet} ${row.account} ${row.venue}`.toLowerCase();
}


export interface Pieces {
  readonly sign: -1 | 0 | 1;
  /** Digits before the point. */
  readonly length: number;
  readonly digits: string;
}

export function pieces(amount: string): Pieces {
  if (decimal.isZero(amount)) return { sign: 0, length: 0, digits: "" };
  const negative = amount.startsWith("-");
  const plain = negative ? amount.slice(1) : amount;
  const point = plain.indexOf(".");
  const digits = point < 0 ? plain : plain.slice(0, point) + plain.slice(point + 1).replace(/0+$/, "");
  return { sign: negative ? -1 : 1, length: point < 0 ? plain.length : point, digits };
}

export function comparePieces(a: Pieces, b: Pieces): number {
  if (a.sign !== b.sign) return a.sign - b.sign;
  if (a.length !== b.length) return (a.length - b.length) * a.sign;
  // Of equal length before the point, the order of the texts is that of the values; a longer fraction only adds.
  return a.digits === b.digits ? 0 : a.digits < b.digits ? -a.sign : a.sign;
}
