// Changes for one async reader. Merged while the reader is busy, so that it holds at most one change per row however slow it is.

import type { Account, Channels, ChannelName } from "./protocol.js";
import { accountKey, rowKey, type Change, type RowChange } from "./store.js";

interface Pending<R> {
  kind: "snapshot" | "update";
  rows: Map<string, RowChange<R>>;
  removed: Map<string, R>;
  accounts: Map<string, Account>;
  epoch: string;
  gsn: number;
}

export class Feed<C extends ChannelName> implements AsyncIterator<Change<Channels[C]>> {
  #pending: Pending<Channels[C]> | undefined;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(private readonly onReturn: () => void) {}

  push(change: Change<Channels[C]>): void {
    const pending = (this.#pending ??= {
      kind: "update", rows: new Map(), removed: new Map(), accounts: new Map(), epoch: "", gsn: 0,
    });
    if (change.kind === "snapshot") pending.kind = "snapshot";
    for (const { key, row, before } of change.rows) {
      const earlier = pending.rows.get(key);
      pending.rows.set(key, { key, row, before: earlier ? earlier.before : before });
      pending.removed.delete(key);
    }
    for (const row of change.removed) {
      const key = rowKey(row);
      pending.rows.delete(key);
      pending.removed.set(key, row);
    }
    for (const account of change.accounts) pending.accounts.set(accountKey(account), account);
    pending.epoch = change.epoch;
    pending.gsn = change.gsn;
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<Change<Channels[C]>, undefined>> {
    while (!this.#pending && !this.#ended) {
      await new Promise<void>((wake) => (this.#wake = wake));
      this.#wake = undefined;
    }
    const pending = this.#pending;
    this.#pending = undefined;
    if (!pending) return { done: true, value: undefined };
    const { kind, rows, removed, accounts, epoch, gsn } = pending;
    const value = { kind, rows: [...rows.values()], removed: [...removed.values()], accounts: [...accounts.values()], epoch, gsn };
    return { done: false, value };
  }

  async return(): Promise<IteratorResult<Change<Channels[C]>, undefined>> {
    this.#pending = undefined;
    this.end();
    this.onReturn();
    return { done: true, value: undefined };
  }
}
