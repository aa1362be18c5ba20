// The words on the wire. Made from docs/openapi.json and docs/asyncapi.json by `npm run contract` in clients/; do not edit.

/** What is known of an account besides its rows. */
export interface Account {
  readonly account: string;
  /** Rows that a reconcile had to correct since the gateway started. */
  readonly drift_count: number;
  readonly fees?: Fees;
  /** When a complete list of the venue last confirmed the rows. Absent: never. */
  readonly last_confirmed_ts?: UnixMs;
  /** What the key may do, in the venue's own JSON. */
  readonly permissions?: { readonly [name: string]: unknown };
  /**
   * When the account's upstream last proved to be alive; `null`: not yet. As of the writing of the frame: it moves without a
   * gsn, and no update is sent for it alone.
   */
  readonly proven_ts: UnixMs | null;
  /** Present where `state` is not `live`. */
  readonly reason?: Reason;
  /** Connections made after the first, since the gateway started. Absent: none. */
  readonly reconnect_count?: number;
  /** Snapshots that had to be asked for anew on a standing connection, since the gateway started. Absent: none. */
  readonly resync_count?: number;
  /** When `state` was entered. */
  readonly since: UnixMs;
  readonly state: AccountState;
  /** Trading statistics, in the venue's own JSON. */
  readonly stats?: { readonly [name: string]: unknown };
  readonly venue: string;
  /** For people: a key that may withdraw, say. */
  readonly warnings?: readonly string[];
}

/** How far an account's rows can be trusted. */
export type AccountState =
  | "pending"
  | "connecting"
  | "syncing"
  | "live"
  | "degraded"
  | "stale"
  | "maintenance"
  | "auth_failed"
  | "disabled";

/** The account records of a snapshot. */
export interface AccountsAnswer {
  readonly accounts: readonly Account[];
  /** False while any account in view has no snapshot yet, is neither `live` nor `degraded`, or left something out. */
  readonly complete: boolean;
  /** The history in which gsn values compare. */
  readonly epoch: string;
  /** Everything up to this commit is in. */
  readonly gsn: number;
  /** When the answer was written. */
  readonly ts: UnixMs;
}

/**
 * A decimal number in plain notation, every digit the venue's, in whole units of the asset. Exact as text alone: a float cannot
 * hold it.
 */
export type Amount = string;

/** The token is good. Comes unasked, without an id, where the token came with the upgrade. */
export interface AuthAccepted {
  /** When the token ends. */
  readonly expires_at: UnixMs;
  /** After so long without another frame a heartbeat comes. */
  readonly heartbeat_ms: number;
  readonly id?: RequestId;
  readonly success: true;
  readonly type: "auth_result";
  /** The token's `sub`. */
  readonly user: string;
}

/** The token ends soon: send a new one of the same subject. */
export interface AuthExpiring {
  /** When the token ends. */
  readonly expires_at: UnixMs;
  readonly type: "auth_expiring";
}

/** The token is refused; the socket closes with 4101. */
export interface AuthRefused {
  readonly error: Refusal;
  readonly id?: RequestId;
  readonly success: false;
  readonly type: "auth_result";
}

/** Logs in, or renews the login of the open socket. The first frame, within 10 s, where the upgrade carried no token. */
export interface AuthTokenRequest {
  readonly id?: RequestId | null;
  /** A JWT. */
  readonly token: string;
  readonly type: "auth_token";
}

/**
 * One balance, keyed by venue, account, wallet and asset. Whole: it replaces the row of the same key; there are no deltas. Each
 * number is `null` where the venue has not said; `"0"` is *the venue said zero*.
 */
export interface Balance {
  readonly account: string;
  /** The venue's own identifier, verbatim. */
  readonly asset: string;
  readonly available: Amount | null;
  /** Absent: all numbers are plainly reported. */
  readonly basis?: Basis;
  /** Why the numbers last changed, where that is known. */
  readonly cause?: Cause;
  /** When one of the numbers last changed. */
  readonly changed_ts: UnixMs;
  /** Further words of the venue. */
  readonly extra?: { readonly [name: string]: string };
  /** The commit that last changed anything of the row. */
  readonly gsn: number;
  /** Present where the venue withdrew a value that it had given. */
  readonly last_known?: LastKnown;
  readonly locked: Amount | null;
  /** When the frame holding these numbers was read. */
  readonly received_ts: UnixMs;
  readonly state: RowState;
  readonly total: Amount | null;
  readonly venue: string;
  /** The venue's own time; `null` where it sends none. */
  readonly venue_ts: UnixMs | null;
  /** A compartment inside the account: `spot`, `exchange`, a chain address. */
  readonly wallet: string;
}

/**
 * Everything there is, as of `gsn`. It replaces all that the client holds of the channel. A large one comes in parts, to be
 * installed together.
 */
export interface BalancesSnapshot {
  readonly accounts: readonly Account[];
  readonly balances: readonly Balance[];
  readonly channel: "user:balances";
  /** False while any account in view has no snapshot yet, is neither `live` nor `degraded`, or left something out. */
  readonly complete: boolean;
  /** The history in which gsn values compare. */
  readonly epoch: string;
  /** Everything up to this commit that concerns the subscription is in; nothing later is. */
  readonly gsn: number;
  /** 1, 2, … of `parts`. Absent: the snapshot is whole. */
  readonly part?: number;
  readonly parts?: number;
  /** Always 0. */
  readonly prev: number;
  readonly reason: SnapshotReason;
  /** When the frame was written. */
  readonly ts: UnixMs;
  readonly type: "snapshot";
}

/** What changed since the frame before: whole rows and records. */
export interface BalancesUpdate {
  readonly accounts: readonly Account[];
  readonly balances: readonly Balance[];
  readonly channel: "user:balances";
  /** False while any account in view has no snapshot yet, is neither `live` nor `degraded`, or left something out. */
  readonly complete: boolean;
  /** The history in which gsn values compare. */
  readonly epoch: string;
  /** Everything up to this commit that concerns the subscription is in; nothing later is. */
  readonly gsn: number;
  /**
   * The gsn of the frame before on this subscription. Where it is another than the client holds, the client asks for a resync.
   */
  readonly prev: number;
  /** When the frame was written. */
  readonly ts: UnixMs;
  readonly type: "update";
}

/** Marks the numbers of a row that were not plainly reported. */
export interface Basis {
  readonly available?: BasisWord;
  readonly locked?: BasisWord;
  readonly total?: BasisWord;
}

/** Where a number comes from that was not plainly reported. */
export type BasisWord = "derived" | "absent";

/** Why a row changed. */
export interface Cause {
  /** The venue's own words, for people. */
  readonly description?: string;
  readonly type: CauseKind;
  /** The venue's own JSON, verbatim. */
  readonly venue?: unknown;
}

/** The closed vocabulary of causes. */
export type CauseKind =
  | "trade"
  | "fee"
  | "order"
  | "deposit"
  | "withdrawal"
  | "transfer"
  | "funding"
  | "interest"
  | "adjustment"
  | "reconcile"
  | "absent"
  | "other";

/** Which rows a reader wants. */
export type Channel = "user:balances" | "user:orders";

/** The gateway goes away: reconnect at a random moment within this time, with `since`. The socket closes with 4300. */
export interface Draining {
  readonly reconnect_within_ms: number;
  readonly type: "draining";
}

/** What was wrong with a request. */
export type ErrorCode =
  | "BAD_JSON"
  | "BAD_REQUEST"
  | "UNKNOWN_TYPE"
  | "NOT_AUTHENTICATED"
  | "TOKEN_INVALID"
  | "TOKEN_EXPIRED"
  | "SUBJECT_MISMATCH"
  | "UNKNOWN_CHANNEL"
  | "BAD_FILTER"
  | "NOT_SUBSCRIBED"
  | "LIMIT_CONNECTIONS"
  | "RATE_LIMITED"
  | "INTERNAL";

/** A request was refused. The socket stays open. */
export interface ErrorFrame {
  readonly code: ErrorCode;
  readonly id?: RequestId;
  /** For people. */
  readonly message: string;
  readonly retry: Retry;
  readonly type: "error";
}

/** Trading fees as the venue states them: fractions (`0.0005` is 0.05 %). */
export interface Fees {
  readonly maker: Amount;
  readonly taker: Amount;
}

/**
 * Narrows what a user may see, never grants. OR inside a list, AND between lists. A list that is not given does not narrow; an
 * empty one is refused.
 */
export interface Filter {
  /** Names of accounts. One that the user may not see matches nothing, as one that does not exist. */
  readonly accounts?: readonly string[] | null;
  /** The venues' own identifiers. */
  readonly assets?: readonly string[] | null;
  /** Leaves out rows that hold nothing. A row that becomes zero is still told once. */
  readonly nonzero?: boolean | null;
  /** Names of venues. */
  readonly venues?: readonly string[] | null;
}

/** The gsn of the last frame of each subscription. Another than the client holds: it missed one. */
export interface Gsns {
  readonly "user:balances"?: number;
  readonly "user:orders"?: number;
}

/** Nothing else was sent for a while. */
export interface Heartbeat {
  readonly gsn: Gsns;
  readonly ts: UnixMs;
  readonly type: "heartbeat";
}

/** What was wrong with an HTTP request. */
export type HttpErrorCode =
  | "BAD_REQUEST"
  | "BAD_FILTER"
  | "NOT_AUTHENTICATED"
  | "TOKEN_INVALID"
  | "TOKEN_EXPIRED"
  | "FORBIDDEN_ORIGIN"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "RATE_LIMITED"
  | "LIMIT_CONNECTIONS"
  | "DRAINING"
  | "INTERNAL";

/** What was known before the venue withdrew it. */
export interface LastKnown {
  readonly available: Amount;
  /** When it was last reported. */
  readonly ts: UnixMs;
}

/** One order, keyed by venue, account and order id, as far as a balance stream tells of it. Whole, as a balance is. */
export interface Order {
  readonly account: string;
  /** The venue's own identifier, verbatim. */
  readonly asset: string;
  readonly changed_ts: UnixMs;
  /** Further words of the venue. */
  readonly extra?: { readonly [name: string]: string };
  /** `null` where the venue has not said. */
  readonly filled: Amount | null;
  /** No further change is to come. */
  readonly final: boolean;
  /** The commit that last changed anything of the row. */
  readonly gsn: number;
  readonly order_id: string;
  readonly received_ts: UnixMs;
  readonly state: RowState;
  /** The venue's word. */
  readonly status: string;
  readonly venue: string;
}

/** The orders of a snapshot. */
export interface OrdersAnswer {
  /** False while any account in view has no snapshot yet, is neither `live` nor `degraded`, or left something out. */
  readonly complete: boolean;
  /** The history in which gsn values compare. */
  readonly epoch: string;
  /** Everything up to this commit is in. */
  readonly gsn: number;
  readonly orders: readonly Order[];
  /** When the answer was written. */
  readonly ts: UnixMs;
}

/**
 * Everything there is, as of `gsn`. It replaces all that the client holds of the channel. A large one comes in parts, to be
 * installed together.
 */
export interface OrdersSnapshot {
  readonly accounts: readonly Account[];
  readonly channel: "user:orders";
  /** False while any account in view has no snapshot yet, is neither `live` nor `degraded`, or left something out. */
  readonly complete: boolean;
  /** The history in which gsn values compare. */
  readonly epoch: string;
  /** Everything up to this commit that concerns the subscription is in; nothing later is. */
  readonly gsn: number;
  readonly orders: readonly Order[];
  /** 1, 2, … of `parts`. Absent: the snapshot is whole. */
  readonly part?: number;
  readonly parts?: number;
  /** Always 0. */
  readonly prev: number;
  readonly reason: SnapshotReason;
  /** When the frame was written. */
  readonly ts: UnixMs;
  readonly type: "snapshot";
}

/** What changed since the frame before: whole rows and records. */
export interface OrdersUpdate {
  readonly accounts: readonly Account[];
  readonly channel: "user:orders";
  /** False while any account in view has no snapshot yet, is neither `live` nor `degraded`, or left something out. */
  readonly complete: boolean;
  /** The history in which gsn values compare. */
  readonly epoch: string;
  /** Everything up to this commit that concerns the subscription is in; nothing later is. */
  readonly gsn: number;
  readonly orders: readonly Order[];
  /**
   * The gsn of the frame before on this subscription. Where it is another than the client holds, the client asks for a resync.
   */
  readonly prev: number;
  /** When the frame was written. */
  readonly ts: UnixMs;
  readonly type: "update";
}

/** Asks for a pong. Needs no login. */
export interface PingRequest {
  readonly id?: RequestId | null;
  readonly type: "ping";
}

/** The answer to a ping. */
export interface Pong {
  readonly id?: RequestId;
  readonly ts: UnixMs;
  readonly type: "pong";
}

/** A sign of life. It has no reply. */
export interface PongRequest {
  readonly id?: RequestId | null;
  readonly type: "pong";
}

/** Why an HTTP request was refused. */
export interface Problem {
  readonly error: ProblemDetail;
}

/** A code to branch on, and a text for people. */
export interface ProblemDetail {
  readonly code: HttpErrorCode;
  /** For people. */
  readonly message: string;
}

/** Why an account is not `live`: a code to branch on, a text for people. The text never holds a payload or a secret. */
export interface Reason {
  readonly code: ReasonCode;
  /** For people. */
  readonly text: string;
}

/** The closed set of reasons. `docs/operations.md` gives each one's cure. */
export type ReasonCode =
  | "starting"
  | "upstream_disconnected"
  | "connect_failed"
  | "liveness_timeout"
  | "venue_restart"
  | "maintenance"
  | "wrong_key"
  | "clock_skew"
  | "token_expired"
  | "missing_permission"
  | "auth_uncertain"
  | "rate_limited"
  | "sync_timeout"
  | "subscribe_refused"
  | "reconcile_failed"
  | "rest_unauthorized"
  | "configuration"
  | "protocol_error"
  | "row_limit"
  | "warm_start"
  | "operator_resync"
  | "disabled";

/** Why a token is refused: a code to branch on, a text for people. */
export interface Refusal {
  readonly code: ErrorCode;
  /** For people. */
  readonly message: string;
}

/** The client's own name for a request, echoed in every reply to it. At most 128 characters of JSON, quotes included. */
export type RequestId = string | number;

/** Asks for a fresh snapshot, which is the answer. */
export interface ResyncRequest {
  readonly channel: Channel;
  readonly id?: RequestId | null;
  readonly type: "resync";
}

/** What a client should do after an error. */
export type Retry = "never" | "reauth" | "backoff" | "now";

/** How far one row can be trusted. */
export type RowState = "live" | "stale" | "pending";

/** A point in a history: the `epoch` and `gsn` of the last frame of the channel. */
export interface Since {
  readonly epoch: string;
  readonly gsn: number;
}

/** Why a snapshot was sent. */
export type SnapshotReason = "subscribe" | "resync" | "grant" | "bulk" | "request";

/** Asks for a channel. Replaces an earlier subscription to it. */
export interface SubscribeRequest {
  readonly channel: Channel;
  readonly filter?: Filter | null;
  readonly id?: RequestId | null;
  /** Most updates a second; what lies between is merged, a last value is never skipped. Absent: as they come. */
  readonly max_rate_hz?: number | null;
  /** Where an earlier subscription with the same filter ended: only what changed since is sent, where that can be told. */
  readonly since?: Since | null;
  readonly type: "subscribe";
}

/** A subscription stands. A snapshot follows; where `resumed`, one update with what changed since. */
export interface Subscribed {
  readonly channel: Channel;
  readonly epoch: string;
  readonly gsn: number;
  readonly id?: RequestId;
  readonly resumed: boolean;
  readonly type: "subscribed";
}

/** Milliseconds since the Unix epoch, UTC. */
export type UnixMs = number;

/** Ends a subscription. */
export interface UnsubscribeRequest {
  readonly channel: Channel;
  readonly id?: RequestId | null;
  readonly type: "unsubscribe";
}

/** A subscription ended. */
export interface Unsubscribed {
  readonly channel: Channel;
  readonly id?: RequestId;
  readonly type: "unsubscribed";
}
