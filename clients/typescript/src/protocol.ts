// The gateway's words, as types: those of its contract under the names that this client uses, and the frames together. No behavior but
// the reading of a frame and of a close code.
//
// The unions of words are those of the gateway that the contract was made from. A later one may say more: have an answer for the rest.

import type {
  AuthAccepted, AuthExpiring, AuthRefused, Balance, BalancesSnapshot, BalancesUpdate, Draining, ErrorFrame, Heartbeat, Order,
  OrdersSnapshot, OrdersUpdate, Pong, Subscribed, Unsubscribed,
} from "./contract.js";
import type { AccountState } from "./contract.js";

export type {
  Account, AccountState, Amount, Balance, Cause, CauseKind, ErrorCode, Fees, Filter, Order, Reason, ReasonCode, RequestId, RowState,
  Since, UnixMs,
} from "./contract.js";
/** Every word on the wire, HTTP's included. */
export type * as contract from "./contract.js";

/** Which rows a channel carries. */
export interface Channels {
  "user:balances": Balance;
  "user:orders": Order;
}
export type ChannelName = keyof Channels;
export type Row = Channels[ChannelName];

export type SnapshotFrame = BalancesSnapshot | OrdersSnapshot;
export type UpdateFrame = BalancesUpdate | OrdersUpdate;
/** What a client may be sent. Frames of other types are to be ignored. */
export type Frame =
  | SnapshotFrame | UpdateFrame | AuthAccepted | AuthRefused | AuthExpiring | Subscribed | Unsubscribed | Heartbeat | Pong
  | ErrorFrame | Draining;

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
