// The gateway's words, as types: rows, account records, frames, close bands. No behavior but the reading of a close code.

/** A decimal in plain notation, every digit the venue's. Never turn it into a number to show or to add it; see `decimal.ts`. */
export type Amount = string;
/** Milliseconds since the Unix epoch. */
export type UnixMs = number;

export type RowState = "live" | "stale" | "pending";
export type AccountState =
  | "pending" | "connecting" | "syncing" | "live" | "degraded" | "stale" | "maintenance" | "auth_failed" | "disabled";

export interface Cause {
  /** `trade`, `fee`, `order`, `deposit`, … ; unknown words may be added. */
  readonly type: string;
  readonly description?: string;
  /** The venue's own JSON. Its numbers have been through a double: show the amounts of the row instead. */
  readonly venue?: unknown;
}

/** One balance, keyed by venue, account, wallet and asset. `null` is "the venue has not said"; `"0"` is "the venue said zero". */
export interface Balance {
  readonly venue: string;
  readonly account: string;
  readonly wallet: string;
  /** The venue's own identifier, verbatim. */
  readonly asset: string;
  readonly total: Amount | null;
  readonly available: Amount | null;
  readonly locked: Amount | null;
  /** What is not plainly reported: `derived` by an identity the venue documents, or `absent` from its complete list. */
  readonly basis?: { readonly [amount in "total" | "available" | "locked"]?: "derived" | "absent" };
  readonly state: RowState;
  readonly gsn: number;
  readonly venue_ts: UnixMs | null;
  readonly received_ts: UnixMs;
  readonly changed_ts: UnixMs;
  /** What was known before the venue withdrew it. */
  readonly last_known?: { readonly available: Amount; readonly ts: UnixMs };
  readonly extra?: { readonly [name: string]: string };
  readonly cause?: Cause;
}

/** One order, keyed by venue, account and order id. */
export interface Order {
  readonly venue: string;
  readonly account: string;
  readonly order_id: string;
  readonly asset: string;
  readonly filled: Amount | null;
  /** The venue's word. */
  readonly status: string;
  /** No further change is to come. */
  readonly final: boolean;
  readonly state: RowState;
  readonly gsn: number;
  readonly received_ts: UnixMs;
  readonly changed_ts: UnixMs;
  readonly extra?: { readonly [name: string]: string };
}

export interface Account {
  readonly venue: string;
  readonly account: string;
  readonly state: AccountState;
  /** When `state` was entered. */
  readonly since: UnixMs;
  /** Present where `state` is not `live`. */
  readonly reason?: { readonly code: string; readonly text: string };
  /** Fractions: `0.0005` is 0.05 %. */
  readonly fees?: { readonly maker: Amount; readonly taker: Amount };
  /** The venue's words. */
  readonly stats?: unknown;
  /** The venue's words. */
  readonly permissions?: unknown;
  /** For people: a key that may withdraw, say. */
  readonly warnings?: readonly string[];
  /** Rows that a comparison with the venue's REST answer had to correct, since the gateway started. */
  readonly drift_count?: number;
  /** Connections that had to be made anew since the gateway started. */
  readonly reconnect_count?: number;
  /** Complete snapshots that had to be taken anew on a standing connection. */
  readonly resync_count?: number;
  /** When a snapshot or the venue's REST answer last confirmed the rows; absent: never. */
  readonly last_confirmed_ts?: UnixMs;
}

/** OR inside a list, AND between lists. A filter narrows, it never grants. Lists hold 1 to 500 entries. */
export interface Filter {
  readonly venues?: readonly string[];
  readonly accounts?: readonly string[];
  readonly assets?: readonly string[];
  /** Leaves out rows that hold nothing. */
  readonly nonzero?: boolean;
}

/** Which rows a channel carries. */
export interface Channels {
  "user:balances": Balance;
  "user:orders": Order;
}
export type ChannelName = keyof Channels;
export type Row = Channels[ChannelName];

interface StateFrame {
  readonly channel: string;
  readonly epoch: string;
  /** The gsn of the frame before on this subscription. */
  readonly prev: number;
  readonly gsn: number;
  readonly ts: UnixMs;
  readonly complete?: boolean;
  readonly accounts: readonly Account[];
  readonly balances?: readonly Balance[];
  readonly orders?: readonly Order[];
}
export interface SnapshotFrame extends StateFrame {
  readonly type: "snapshot";
  readonly reason: string;
  readonly complete: boolean;
  /** 1, 2, … of `parts`; a frame without them is whole. */
  readonly part?: number;
  readonly parts?: number;
}
export interface UpdateFrame extends StateFrame {
  readonly type: "update";
}

export type RequestId = string | number;
/** What a client may be sent. Frames of other types are to be ignored. */
export type Frame =
  | SnapshotFrame
  | UpdateFrame
  | { readonly type: "auth_result"; readonly id?: RequestId; readonly success: true; readonly user: string;
      readonly expires_at: UnixMs; readonly heartbeat_ms: number }
  | { readonly type: "auth_result"; readonly id?: RequestId; readonly success: false;
      readonly error: { readonly code: string; readonly message: string } }
  | { readonly type: "auth_expiring"; readonly expires_at: UnixMs }
  | { readonly type: "subscribed"; readonly id?: RequestId; readonly channel: string; readonly epoch: string;
      readonly gsn: number; readonly resumed: boolean }
  | { readonly type: "unsubscribed"; readonly id?: RequestId; readonly channel: string }
  | { readonly type: "heartbeat"; readonly ts: UnixMs; readonly gsn: { readonly [channel: string]: number } }
  | { readonly type: "pong"; readonly id?: RequestId; readonly ts: UnixMs }
  | { readonly type: "error"; readonly id?: RequestId; readonly code: string; readonly message: string;
      readonly retry: "never" | "reauth" | "backoff" | "now" }
  | { readonly type: "draining"; readonly reconnect_within_ms: number };

/** What a closed socket asks for. */
export type AfterClose = "stop" | "reauth" | "backoff" | "as_told";

/** Reads a close code by its band, so that codes which came later are obeyed too. */
export function afterClose(code: number): AfterClose {
  if (code >= 4000 && code <= 4099) return "stop";
  if (code >= 4100 && code <= 4199) return "reauth";
  if (code >= 4300 && code <= 4399) return "as_told";
  return "backoff";
}

/** True where rows of an account may be `live`. */
export function isProven(state: AccountState): boolean {
  return state === "live" || state === "degraded";
}

/** Reads a text frame; `undefined` where it is no JSON object with a `type`. */
export function parseFrame(text: string): Frame | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("type" in value) || typeof value.type !== "string") return undefined;
  return value as Frame;
}
