// What one subscription holds: rows and accounts, and its place in the gateway's history. Knows no socket and no time.

import type { Account, Channels, ChannelName, SnapshotFrame, UpdateFrame } from "./protocol.js";

/** One row that is new or differs. */
export interface RowChange<R> {
  readonly key: string;
  readonly row: R;
  /** What it replaced; `undefined`: nothing. */
  readonly before: R | undefined;
}

/** What one frame (or several, merged for a slow reader) changed. */
export interface Change<R> {
  /** `snapshot`: everything was replaced, and only what differs is listed. */
  readonly kind: "snapshot" | "update";
  readonly rows: readonly RowChange<R>[];
  /** Rows that are no longer visible. */
  readonly removed: readonly R[];
  /** Account records that are new or differ. */
  readonly accounts: readonly Account[];
  readonly epoch: string;
  readonly gsn: number;
}

/** What became of a frame: taken in, a part of something not yet whole, or proof that something was missed. */
export type Taken<R> = { readonly change: Change<R> } | "partial" | "gap";

/** Parts of one snapshot that are held at most: 64 KiB each, so 1 GiB. */
const MAX_PARTS = 16_384;

interface Parts<R> {
  readonly epoch: string;
  readonly gsn: number;
  readonly of: number;
  next: number;
  readonly accounts: Account[];
  readonly rows: R[];
}

/** Names a row within its channel. Opaque: compare it, do not take it apart. */
export function rowKey(row: Channels[ChannelName]): string {
  const last = "order_id" in row ? [row.order_id] : [row.wallet, row.asset];
  return JSON.stringify([row.venue, row.account, ...last]);
}

/** Names an account. Opaque. */
export function accountKey(account: { readonly venue: string; readonly account: string }): string {
  return JSON.stringify([account.venue, account.account]);
}

export class Store<C extends ChannelName> {
  #rows = new Map<string, Channels[C]>();
  #accounts = new Map<string, Account>();
  #parts: Parts<Channels[C]> | undefined;
  #epoch = "";
  #gsn = 0;
  #complete = false;

  constructor(readonly channel: C) {}

  get rows(): ReadonlyMap<string, Channels[C]> {
    return this.#rows;
  }
  get accounts(): ReadonlyMap<string, Account> {
    return this.#accounts;
  }
  /** As the gateway last said: every visible account is proven, and nothing was left out. */
  get complete(): boolean {
    return this.#complete;
  }
  /** Where to resume from; `undefined` before the first snapshot. */
  get since(): { readonly epoch: string; readonly gsn: number } | undefined {
    return this.#epoch === "" ? undefined : { epoch: this.#epoch, gsn: this.#gsn };
  }

  /** The connection is gone: a snapshot in parts will not be completed. */
  abandon(): void {
    this.#parts = undefined;
  }

  /** Takes in a frame of this channel. After `"gap"` ask for a resync; until its snapshot, updates are gaps too. */
  take(frame: SnapshotFrame | UpdateFrame): Taken<Channels[C]> {
    return frame.type === "update" ? this.#update(frame) : this.#snapshot(frame);
  }

  #list(frame: SnapshotFrame | UpdateFrame): readonly Channels[C][] {
    const list: readonly Channels[ChannelName][] = "orders" in frame ? frame.orders : frame.balances;
    return list as readonly Channels[C][];
  }

  #update(frame: UpdateFrame): Taken<Channels[C]> {
    const follows = frame.epoch === this.#epoch && frame.prev === this.#gsn && frame.gsn >= frame.prev;
    if (!follows || this.#parts) {
      this.#parts = undefined;
      return "gap";
    }
    const rows: RowChange<Channels[C]>[] = [];
    for (const row of this.#list(frame)) {
      const key = rowKey(row);
      rows.push({ key, row, before: this.#rows.get(key) });
      this.#rows.set(key, row);
    }
    for (const account of frame.accounts) this.#accounts.set(accountKey(account), account);
    this.#gsn = frame.gsn;
    this.#complete = frame.complete;
    return { change: { kind: "update", rows, removed: [], accounts: frame.accounts, epoch: frame.epoch, gsn: frame.gsn } };
  }

  #snapshot(frame: SnapshotFrame): Taken<Channels[C]> {
    const of = frame.parts ?? 1;
    const part = frame.part ?? 1;
    if (part === 1) {
      this.#parts = { epoch: frame.epoch, gsn: frame.gsn, of, next: 1, accounts: [], rows: [] };
    }
    const held = this.#parts;
    const fits = held && held.next === part && held.of === of && held.epoch === frame.epoch && held.gsn === frame.gsn;
    if (!fits || of > MAX_PARTS || part > of) {
      this.#parts = undefined;
      return "gap";
    }
    held.next += 1;
    held.accounts.push(...frame.accounts);
    for (const row of this.#list(frame)) held.rows.push(row);
    if (part < of) return "partial";
    this.#parts = undefined;
    return { change: this.#install(held, frame.complete) };
  }

  #install(whole: Parts<Channels[C]>, complete: boolean): Change<Channels[C]> {
    const before = this.#rows;
    const accountsBefore = this.#accounts;
    const sameHistory = whole.epoch === this.#epoch;
    this.#rows = new Map(whole.rows.map((row) => [rowKey(row), row]));
    this.#accounts = new Map(whole.accounts.map((account) => [accountKey(account), account]));
    const rows: RowChange<Channels[C]>[] = [];
    for (const [key, row] of this.#rows) {
      const old = before.get(key);
      if (!old || !(sameHistory ? old.gsn === row.gsn : says(old) === says(row))) rows.push({ key, row, before: old });
    }
    const removed = [...before].filter(([key]) => !this.#rows.has(key)).map(([, row]) => row);
    const accounts = whole.accounts.filter((account) => {
      const old = accountsBefore.get(accountKey(account));
      return !old || JSON.stringify(old) !== JSON.stringify(account);
    });
    this.#epoch = whole.epoch;
    this.#gsn = whole.gsn;
    this.#complete = complete;
    return { kind: "snapshot", rows, removed, accounts, epoch: whole.epoch, gsn: whole.gsn };
  }
}

/** A row's content, for comparing across histories in which gsn values do not compare. */
function says(row: Channels[ChannelName]): string {
  const { gsn: _gsn, received_ts: _received, changed_ts: _changed, ...content } = row;
  return JSON.stringify(content);
}
