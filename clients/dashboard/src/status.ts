// One card per account: how far it can be trusted, since when and why, and what the venue says of it.

import { type Account, type Client, type contract, accountKey, decimal } from "@balance-gateway/client";
import { byId, el } from "./dom.js";
import type { Query } from "./model.js";
import { accountState, ago, count } from "./words.js";

/** The age of the last proof of life moves without a frame: while the view is open it is asked for so often (ms). */
const ASK_EVERY_MS = 3_000;

/** Lines of the venue's own statistics and permissions shown at most. */
const MAX_FACTS = 40;

export class Status {
  readonly #place = byId("status");
  #shown = "";
  /** By account, as last asked for. */
  #proven = new Map<string, number>();
  #askedAt = 0;

  /** `token`: the one that the connection was made with. */
  constructor(private readonly client: Client, private readonly token: () => string | null) {}

  paint({ venue, account, find }: Query): void {
    if (this.#place.hidden) return;
    const now = Date.now();
    void this.#ask(now);
    const newest = new Map<string, { rows: number; received: number }>();
    for (const row of this.client.rows.values()) {
      const of = newest.get(row.account) ?? { rows: 0, received: 0 };
      newest.set(row.account, { rows: of.rows + 1, received: Math.max(of.received, row.received_ts) });
    }
    const accounts = [...this.client.accounts.values()].filter((of) =>
      (venue === "" || of.venue === venue) && (account === "" || of.account === account) &&
      `${of.account} ${of.venue}`.toLowerCase().includes(find.trim().toLowerCase()));
    // Ages go by the second; nothing is made anew in between.
    const shown = JSON.stringify([Math.floor(now / 1000), this.client.status.phase, accounts, [...newest], [...this.#proven]]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#place.replaceChildren(...accounts.map((of) => this.#card(of, newest.get(of.account), now)));
  }

  /** Asks when each account was last proven alive. What fails leaves the ages growing, which is what is known then. */
  async #ask(now: number): Promise<void> {
    const token = this.token();
    if (token === null || this.client.status.phase !== "live" || now - this.#askedAt < ASK_EVERY_MS) return;
    this.#askedAt = now;
    try {
      const answer = await fetch("v1/accounts", { headers: { authorization: `Bearer ${token}` }, cache: "no-store" });
      if (!answer.ok) return;
      const { accounts } = await answer.json() as contract.AccountsAnswer;
      this.#proven = new Map(accounts.map((account) => [accountKey(account), account.proven_ts ?? 0]));
    } catch {
      // Not reachable: the connection's own state says so.
    }
  }

  /** The newer of what a frame and what an answer said. */
  #proof(account: Account, now: number): string {
    const proven = Math.max(account.proven_ts ?? 0, this.#proven.get(accountKey(account)) ?? 0);
    return proven === 0 ? "not yet" : ago(now - proven);
  }

  #card(account: Account, rows: { rows: number; received: number } | undefined, now: number): Node {
    const state = accountState(this.client, account, now);
    const facts: [string, string][] = [
      ["Proven alive", this.#proof(account, now)],
      ["Rows", count(rows?.rows ?? 0, "row")],
      ["Newest row", rows ? `received ${ago(now - rows.received)}` : "none yet"],
      ["Confirmed", account.last_confirmed_ts === undefined ? "never" : ago(now - account.last_confirmed_ts)],
      ["Reconnects", String(account.reconnect_count ?? 0)],
      ["Resyncs", String(account.resync_count ?? 0)],
      ["Drift", account.drift_count ? `${count(account.drift_count, "row")} corrected` : "none"],
      ["Fees", account.fees ? `maker ${percent(account.fees.maker)}, taker ${percent(account.fees.taker)}` : "not said"],
    ];
    return el("article", { class: "account", "data-state": state.kind, "aria-label": account.account },
      el("header", {}, el("h2", {}, account.account), el("span", { class: "venue" }, account.venue)),
      el("p", { class: "stands", "data-state": state.kind }, state.text),
      ...(account.warnings ?? []).map((text) => el("p", { class: "warning" }, `Warning: ${text}`)),
      pairs(facts),
      more("Statistics", account.stats),
      more("Permissions of the key", account.permissions));
  }
}

/** A fraction as the venue states it, in percent, exactly. */
function percent(fraction: string): string {
  const shifted = decimal.shift(fraction, 2);
  return `${shifted.includes(".") ? shifted.replace(/\.?0+$/, "") : shifted} %`;
}

function pairs(facts: [string, string][]): Node {
  return el("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** What the venue says in its own words, whatever its shape. */
function more(title: string, value: unknown): Node | undefined {
  const facts: [string, string][] = [];
  flatten("", value, facts);
  return facts.length === 0 ? undefined : el("div", { class: "more" }, el("h3", {}, title), pairs(facts));
}

function flatten(name: string, value: unknown, into: [string, string][]): void {
  if (into.length >= MAX_FACTS || value === undefined || value === null) return;
  if (typeof value !== "object") return void into.push([name.replaceAll("_", " ") || "value", String(value)]);
  const flags = switchesOn(value);
  if (flags !== undefined && name !== "") return void into.push([name.replaceAll("_", " "), flags.join(", ") || "no"]);
  for (const [key, inner] of Object.entries(value)) flatten(key, inner, into);
}

/** Of an object of switches (0 or 1, false or true) those that are on; `undefined` where it is something else. */
function switchesOn(value: object): string[] | undefined {
  const all = Object.entries(value);
  const switches = all.every(([, on]) => on === 0 || on === 1 || typeof on === "boolean");
  return switches ? all.filter(([, on]) => on === 1 || on === true).map(([key]) => key.replaceAll("_", " ")) : undefined;
}
