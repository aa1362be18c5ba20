// What a client is made with, what it tells of itself, and its defaults.

import type { ChannelName, Filter, UnixMs } from "./protocol.js";
import type { SocketConstructor } from "./socket.js";

/** Why a token is asked for. */
export interface TokenRequest {
  /** `connect`: a connection is about to be made · `expiring`: the one in use ends soon · `refused`: the last one was not accepted. */
  readonly reason: "connect" | "expiring" | "refused";
  /** With `refused`: what the gateway said. */
  readonly refusal?: { readonly code: string; readonly message: string };
  /** With `expiring`: when the token in use ends. */
  readonly expiresAt?: UnixMs;
}

export interface Options<C extends ChannelName = "user:balances"> {
  /** `ws://` or `wss://` address of the gateway's `/v1/ws`. Never put a token into it. */
  readonly url: string;
  /**
   * Gives the token to show. Asked before every connection and when the present token ends or was refused; may take its time. Where
   * it gives `null`, or again the token that was refused, the client waits for {@link Client.renew}.
   */
  readonly getToken: (request: TokenRequest) => string | null | Promise<string | null>;
  /** Default `user:balances`. */
  readonly channel?: C;
  readonly filter?: Filter;
  /** Most updates a second; what lies between is merged by the gateway. Default: no bound. */
  readonly maxRateHz?: number;
  /** In a tab hidden for so long (ms) the connection is given up until the tab is shown. Default 60000; `Infinity`: never. */
  readonly pauseHiddenAfterMs?: number;
  /** First and longest wait between attempts, ms. Default 250 and 15000. */
  readonly backoffMs?: readonly [first: number, longest: number];
  /** Time (ms) from dialing to the first rows. Default 15000. */
  readonly connectTimeoutMs?: number;
  /** Another WebSocket than the platform's. */
  readonly WebSocket?: SocketConstructor;
}

/**
 * `connecting`: nothing received yet · `resuming`: connected before, catching up · `live`: rows are as current as the gateway's ·
 * `silent`: connected, but nothing was heard for too long · `waiting`: until `retryAt` · `paused`: the tab is hidden · `token`: waiting
 * for a token · `closed`: for good, by {@link Client.close} or for the reason in `problem`.
 */
export type Phase = "connecting" | "resuming" | "live" | "silent" | "waiting" | "paused" | "token" | "closed";

export interface Status {
  readonly phase: Phase;
  /** When the phase began. */
  readonly since: UnixMs;
  /** What ended the last connection, or keeps the next from being made. */
  readonly problem?: Problem;
  /** With `waiting`: when the next attempt is made. */
  readonly retryAt?: UnixMs;
  /** Attempts in a row that did not get to rows. */
  readonly attempts: number;
  /** Whom the gateway took us for. */
  readonly user?: string;
  /** When the token in use ends. */
  readonly expiresAt?: UnixMs;
  /** The gateway asked for a new token, and none came yet. */
  readonly expiring?: boolean;
}

/** `code`: one of the gateway's error codes, `CLOSED_<n>`, or `NETWORK`, `TIMEOUT`, `SILENCE`, `TOKEN`, `PROTOCOL` of our own. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}
