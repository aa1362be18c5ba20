// Ages, states and short names in words.

import { type Account, type Client, accountKey, type Balance, isProven } from "@balance-gateway/client";

/** `now`, `12 s`, `3 min`, `5 h`, `2 d`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 1) return "now";
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 100 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** How long something has lasted: never less than a second. */
function span(ms: number): string {
  return age(Math.max(1000, ms));
}

export function ago(ms: number): string {
  return ms < 1000 ? "just now" : `${age(ms)} ago`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function clock(ts: number): string {
  return CLOCK.format(ts);
}

export interface State {
  /** For style. `partial`: what is shown is live, and there may be more. */
  readonly kind: "live" | "partial" | "stale" | "pending" | "degraded" | "bad";
  readonly word: string;
  /** Since when, and why. */
  readonly text: string;
}

const KIND: Record<string, State["kind"]> = {
  live: "live", degraded: "degraded", stale: "stale", maintenance: "stale", auth_failed: "bad", disabled: "pending",
  pending: "pending", connecting: "pending", syncing: "pending",
};

/** An account's state in words: `stale for 12 s: upstream disconnected`. */
export function accountState(client: Client, account: Account, now: number): State {
  const unheard = client.status.phase !== "live" && isProven(account.state);
  if (unheard) {
    return { kind: "stale", word: "stale", text: `stale for ${span(now - client.status.since)}: the gateway is not heard` };
  }
  const word = account.state.replace("_", " ");
  const kind = KIND[account.state] ?? "stale";
  if (account.state === "live") return { kind, word, text: `live for ${span(now - account.since)}` };
  const reason = account.reason?.text ? `: ${account.reason.text}` : "";
  return { kind, word, text: `${word} for ${span(now - account.since)}${reason}` };
}

/** A row's state in words. */
export function rowState(client: Client, row: Balance, now: number): State {
  const state = client.stateOf(row);
  if (state === "live") return { kind: "live", word: "live", text: `live; the venue said so ${ago(now - row.received_ts)}` };
  if (state === "pending") return { kind: "pending", word: "pending", text: "nothing received yet" };
  if (client.status.phase !== "live") {
    const since = now - client.status.since;
    return { kind: "stale", word: `stale ${span(since)}`, text: `stale for ${span(since)}: the gateway is not heard` };
  }
  const account = client.accounts.get(accountKey(row));
  if (account && !isProven(account.state)) {
    const { text } = accountState(client, account, now);
    return { kind: "stale", word: `stale ${span(now - account.since)}`, text };
  }
  return { kind: "stale", word: "stale", text: `not confirmed in this connection; the venue said so ${ago(now - row.received_ts)}` };
}

/** Long identifiers keep both ends. */
export function shorten(name: string, longest = 18): string {
  if (name.length <= longest) return name;
  const tail = Math.floor((longest - 1) / 3);
  return `${name.slice(0, longest - 1 - tail)}…${name.slice(-tail)}`;
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en-US").replaceAll(",", "\u2009")} ${n === 1 ? one : many}`;
}
