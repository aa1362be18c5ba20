// One live subscription: dials, shows the token, resumes, watches for silence, obeys close codes. What is held is the store's matter.

import { Backoff } from "./backoff.js";
import { Connection, type Timer } from "./connection.js";
import { Feed } from "./feed.js";
import type { Options, Phase, Problem, Status, TokenRequest } from "./options.js";
import {
  type Account, type AccountState, type ChannelName, type Channels, type Filter, type Frame, type RowState, type SnapshotFrame,
  type UpdateFrame, afterClose, isProven, parseFrame,
} from "./protocol.js";
import type { Socket, SocketConstructor } from "./socket.js";
import { type Change, Store, accountKey } from "./store.js";
import { PlatformSocket } from "#socket";

const SUBPROTOCOL = "balances.v1";
/** Until the gateway says otherwise. */
const HEARTBEAT_MS = 15_000;
/** Heartbeats' time without a word after which rows count as unproven, and after which the connection is given up. */
const SILENT_AFTER = 1.5;
const DEAD_AFTER = 2.5;
/** A connection that held rows for so long was a good one: the next wait is short again. */
const SETTLED_MS = 10_000;
/** Resyncs in one connection that did not help. */
const MAX_RESYNCS = 3;
/** Between two tries to get a new token for a connection that still stands. */
const RENEW_AGAIN_MS = 5_000;
/** A token that is there sooner is not worth a word. */
const TOKEN_QUIET_MS = 50;

/** What {@link Client.on} tells of. */
export interface Events<R> {
  /** Rows or accounts changed. */
  change: Change<R>;
  status: Status;
  /** Something went wrong and is being dealt with. */
  problem: Problem;
}

export class Client<C extends ChannelName = "user:balances"> implements AsyncIterable<Change<Channels[C]>> {
  readonly #options: Options<C>;
  readonly #store: Store<C>;
  readonly #backoff: Backoff;
  readonly #listeners: { [E in keyof Events<unknown>]: Set<(event: never) => void> } = {
    change: new Set(), status: new Set(), problem: new Set(),
  };
  readonly #feeds = new Set<Feed<C>>();
  readonly #unhook: () => void;
  #status: Status = { phase: "connecting", since: Date.now(), attempts: 0 };
  #version = 0;
  #filter: Filter | undefined;
  /** Are the rows held those of `#filter`? Otherwise their gsn is of another history. */
  #resumable = false;
  #connection: Connection | undefined;
  /** Grows with every new beginning, so that what an earlier one still awaits is ignored. */
  #beginning = 0;
  #refused: { token: string; code: string; message: string } | undefined;
  #retryTimer: Timer;
  #pauseTimer: Timer;
  #renewing = false;

  constructor(options: Options<C>) {
    this.#options = options;
    this.#filter = options.filter;
    this.#store = new Store((options.channel ?? "user:balances") as C);
    this.#backoff = new Backoff(...(options.backoffMs ?? [250, 15_000] as const));
    this.#unhook = this.#hook();
    queueMicrotask(() => this.#status.phase === "connecting" && this.#begin());
  }

  // ── what is known ───────────────────────────────────────────────────────────────────────────────────────────────────

  get rows(): ReadonlyMap<string, Channels[C]> {
    return this.#store.rows;
  }
  get accounts(): ReadonlyMap<string, Account> {
    return this.#store.accounts;
  }
  get status(): Status {
    return this.#status;
  }
  /** The gateway's word, as long as it is heard: every visible account is proven and nothing was left out. */
  get complete(): boolean {
    return this.#status.phase === "live" && this.#store.complete;
  }
  /** Grows whenever rows, accounts or the status change: a cheap snapshot identity for frameworks. */
  get version(): number {
    return this.#version;
  }
  /** Where a later connection would resume. */
  get since(): { readonly epoch: string; readonly gsn: number } | undefined {
    return this.#resumable ? this.#store.since : undefined;
  }

  /** A row's state as of now: never `live` while its account or our own connection is unproven. */
  stateOf(row: Channels[C]): RowState {
    if (row.state !== "live") return row.state;
    const account = this.#store.accounts.get(accountKey(row));
    return this.#status.phase === "live" && account && isProven(account.state) ? "live" : "stale";
  }

  /** An account's state as of now: `stale` instead of `live` or `degraded` while our own connection is unproven. */
  accountStateOf(account: Account): AccountState {
    return isProven(account.state) && this.#status.phase !== "live" ? "stale" : account.state;
  }

  // ── listening ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Calls `listener` until the returned function is called. */
  on<E extends keyof Events<unknown>>(event: E, listener: (event: Events<Channels[C]>[E]) => void): () => void {
    this.#listeners[event].add(listener);
    return () => this.#listeners[event].delete(listener);
  }

  /** Changes from now on, merged while the reader is busy. Ends when the client is closed. */
  [Symbol.asyncIterator](): AsyncIterator<Change<Channels[C]>> {
    const feed: Feed<C> = new Feed(() => this.#feeds.delete(feed));
    if (this.#status.phase === "closed") feed.end();
    else this.#feeds.add(feed);
    return feed;
  }

  /** Fulfilled once rows are live. Rejected when the client is closed before. */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = ({ phase, problem }: Status): boolean => {
        if (phase === "live") resolve();
        else if (phase === "closed") reject(new Error(problem ? `${problem.code}: ${problem.message}` : "closed"));
        else return false;
        return true;
      };
      if (settle(this.#status)) return;
      const off = this.on("status", (status) => settle(status) && off());
    });
  }

  // ── doing ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A new token can be had: asks for it now, on the standing connection where there is one. */
  renew(): void {
    if (this.#connection?.authenticated) return void this.#renew(this.#connection);
    if (this.#status.phase === "token" || this.#status.phase === "waiting") this.#begin();
  }

  /** Connects at once, where a wait or a pause would be on. */
  reconnect(): void {
    if (this.#status.phase === "waiting" || this.#status.phase === "paused") this.#begin();
  }

  /** Narrows to something else. The rows are replaced by a snapshot; until then they are those of the filter before. */
  setFilter(filter: Filter | undefined): void {
    this.#filter = filter;
    this.#resumable = false;
    const connection = this.#connection;
    if (connection?.authenticated) this.#subscribe(connection);
  }

  /** For good. Rows stay readable. */
  close(): void {
    this.#finish(undefined);
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #begin(): void {
    const beginning = this.#abandon();
    this.#enter(this.#store.since ? "resuming" : "connecting");
    void this.#dial(beginning);
  }

  /** Ends whatever is under way, silently. */
  #abandon(): number {
    this.#beginning += 1;
    clearTimeout(this.#retryTimer);
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection) {
      connection.detach();
      connection.socket.close(1000);
    }
    this.#store.abandon();
    return this.#beginning;
  }

  async #dial(beginning: number): Promise<void> {
    const refused = this.#refused;
    const request: TokenRequest = refused
      ? { reason: "refused", refusal: { code: refused.code, message: refused.message } }
      : { reason: "connect" };
    const quiet = setTimeout(() => beginning === this.#beginning && this.#enter("token"), TOKEN_QUIET_MS);
    let token: string | null;
    try {
      token = await this.#options.getToken(request);
    } catch (error) {
      if (beginning === this.#beginning) this.#wait({ code: "TOKEN", message: messageOf(error) }, this.#backoff.next());
      return;
    } finally {
      clearTimeout(quiet);
    }
    if (beginning !== this.#beginning) return;
    if (!token || token === refused?.token) {
      const { code, message } = refused ?? { code: "TOKEN", message: "a token is needed" };
      return this.#enter("token", { problem: { code, message } });
    }
    this.#enter(this.#store.since ? "resuming" : "connecting");
    this.#open(token);
  }

  #open(token: string): void {
    const Platform = this.#options.WebSocket ?? PlatformSocket;
    if (!Platform) return this.#finish({ code: "NETWORK", message: "this platform has no WebSocket; give one in the options" });
    let socket: Socket;
    try {
      socket = new Platform(this.#options.url, [SUBPROTOCOL]);
    } catch (error) {
      return this.#finish({ code: "NETWORK", message: messageOf(error) });
    }
    const connection = new Connection(socket, token);
    this.#connection = connection;
    connection.listen({
      open: () => {
        connection.send({ type: "auth_token", id: "auth", token });
        this.#subscribe(connection);
      },
      text: (text) => this.#receive(connection, text),
      lost: (code, reason) => this.#lost(connection, code, reason),
    });
    const timeout = this.#options.connectTimeoutMs ?? 15_000;
    connection.timers.connect = setTimeout(() => this.#drop({ code: "TIMEOUT", message: "no rows in time" }), timeout);
  }

  #subscribe(connection: Connection): void {
    connection.awaitsSnapshot = true;
    connection.send({
      type: "subscribe",
      id: "subscribe",
      channel: this.#store.channel,
      filter: this.#filter,
      max_rate_hz: this.#options.maxRateHz,
      since: this.since,
    });
  }

  /** Gives a connection up and tries again later. */
  #drop(problem: Problem, waitMs = this.#backoff.next()): void {
    this.#abandon();
    this.#wait(problem, waitMs);
  }

  #wait(problem: Problem, waitMs: number): void {
    this.#tell("problem", problem);
    if (hidden() && Number.isFinite(this.#pauseAfter)) return this.#enter("paused", { problem });
    this.#enter("waiting", { problem, retryAt: Date.now() + waitMs });
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#begin(), waitMs);
  }

  #finish(problem: Problem | undefined): void {
    if (this.#status.phase === "closed") return;
    this.#abandon();
    this.#unhook();
    if (problem) this.#tell("problem", problem);
    this.#enter("closed", problem ? { problem } : {});
    for (const feed of this.#feeds) feed.end();
    this.#feeds.clear();
  }

  /** The socket closed by itself. */
  #lost(connection: Connection, code: number, reason: string): void {
    const said = connection.refusal;
    const problem = said ?? {
      code: code >= 4000 ? `CLOSED_${code}` : "NETWORK",
      message: reason || "the connection ended",
    };
    switch (afterClose(code)) {
      case "stop":
        return this.#finish(problem);
      case "reauth":
        // Too slow to show it (4102) says nothing against the token.
        if (code !== 4102) this.#refused = { token: connection.offered ?? connection.token, ...problem };
        return this.#drop(problem);
      case "as_told":
        return this.#drop(problem, Math.round(Math.random() * (connection.reconnectWithinMs ?? this.#backoff.next())));
      case "backoff":
        return this.#drop(problem);
    }
  }

  // ── frames ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #receive(connection: Connection, text: string): void {
    connection.heard();
    if (this.#status.phase === "silent") this.#enter("live");
    const frame = parseFrame(text);
    if (!frame) return this.#drop({ code: "PROTOCOL", message: "the gateway sent what is no frame" });
    switch (frame.type) {
      case "auth_result":
        return this.#authenticated(connection, frame);
      case "auth_expiring":
        this.#enter(this.#status.phase, { expiring: true });
        return void this.#renew(connection);
      case "snapshot":
      case "update":
        return this.#take(connection, frame);
      case "heartbeat":
        return this.#compare(connection, frame.gsn[this.#store.channel]);
      case "error":
        return this.#refusedRequest(connection, frame);
      case "draining":
        connection.reconnectWithinMs = frame.reconnect_within_ms;
        return;
      default:
        // Replies that need no action, and frames of a later version.
        return;
    }
  }

  #authenticated(connection: Connection, frame: Frame & { type: "auth_result" }): void {
    if (!frame.success) {
      // The socket is closed next, with a code that says what to do.
      connection.refusal = frame.error;
      return;
    }
    connection.authenticated = true;
    connection.token = connection.offered ?? connection.token;
    connection.offered = undefined;
    this.#refused = undefined;
    if (!connection.timers.watch) {
      const heartbeatMs = frame.heartbeat_ms > 0 ? frame.heartbeat_ms : HEARTBEAT_MS;
      connection.timers.watch = setInterval(() => this.#watch(connection, heartbeatMs), Math.max(100, heartbeatMs / 8));
    }
    this.#enter(this.#status.phase, { user: frame.user, expiresAt: frame.expires_at, expiring: false });
  }

  #take(connection: Connection, frame: SnapshotFrame | UpdateFrame): void {
    if (frame.channel !== this.#store.channel) return;
    // Updates that were under way when a snapshot was asked for say nothing that it will not say.
    if (connection.resyncing && frame.type === "update") return;
    const taken = this.#store.take(frame);
    if (taken === "partial") return;
    if (taken === "gap") return this.#resync(connection);
    connection.resyncing = false;
    connection.awaitsSnapshot = false;
    this.#resumable = true;
    clearTimeout(connection.timers.connect);
    this.#version += 1;
    if (this.#status.phase !== "live") this.#enter("live");
    this.#tell("change", taken.change);
    for (const feed of this.#feeds) feed.push(taken.change);
  }

  #resync(connection: Connection): void {
    connection.resyncs += 1;
    if (connection.resyncs > MAX_RESYNCS) return this.#drop({ code: "PROTOCOL", message: "frames keep missing" });
    connection.resyncing = true;
    this.#enter("resuming");
    this.#tell("problem", { code: "PROTOCOL", message: "a frame is missing; asking for a snapshot" });
    connection.send({ type: "resync", id: "resync", channel: this.#store.channel });
  }

  /** A heartbeat names the last frame sent: what is not here by now was lost on the way. */
  #compare(connection: Connection, gsn: number | undefined): void {
    if (gsn === undefined || connection.awaitsSnapshot || connection.resyncing) return;
    if (gsn !== this.#store.since?.gsn) this.#resync(connection);
  }

  #refusedRequest(connection: Connection, { id, code, message, retry }: Frame & { type: "error" }): void {
    const problem = { code, message };
    if (id !== "subscribe" && id !== "resync") return this.#tell("problem", problem);
    // The subscribe that went out with a refused token: the close that follows says what to do.
    if (!connection.authenticated) return;
    if (retry === "never") return this.#finish(problem);
    if (retry === "reauth") this.#refused = { token: connection.token, code, message };
    this.#drop(problem);
  }

  async #renew(connection: Connection): Promise<void> {
    if (this.#renewing) return;
    this.#renewing = true;
    let token: string | null = null;
    let failed = false;
    try {
      const { expiresAt } = this.#status;
      token = await this.#options.getToken({ reason: "expiring", ...(expiresAt === undefined ? {} : { expiresAt }) });
    } catch (error) {
      failed = true;
      this.#tell("problem", { code: "TOKEN", message: messageOf(error) });
    } finally {
      this.#renewing = false;
    }
    if (connection !== this.#connection) return;
    if (token && token !== connection.token) {
      connection.offered = token;
      connection.send({ type: "auth_token", id: "auth", token });
    } else if (failed || token) {
      connection.timers.renew = setTimeout(() => void this.#renew(connection), RENEW_AGAIN_MS);
    }
  }

  // ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #watch(connection: Connection, heartbeatMs: number): void {
    const quietMs = connection.quietMs();
    if (quietMs > heartbeatMs * DEAD_AFTER) return this.#drop({ code: "SILENCE", message: "the gateway is not heard" });
    if (quietMs > heartbeatMs * SILENT_AFTER && this.#status.phase === "live") {
      connection.send({ type: "ping" });
      this.#enter("silent");
    }
    if (this.#status.phase === "live" && Date.now() - this.#status.since > SETTLED_MS) this.#backoff.reset();
  }

  get #pauseAfter(): number {
    return this.#options.pauseHiddenAfterMs ?? 60_000;
  }

  /** Listens to the page, where there is one. */
  #hook(): () => void {
    if (typeof document === "undefined") return () => {};
    const visibility = () => {
      clearTimeout(this.#pauseTimer);
      if (!hidden()) {
        this.reconnect();
      } else if (Number.isFinite(this.#pauseAfter)) {
        this.#pauseTimer = setTimeout(() => this.#pause(), this.#pauseAfter);
      }
    };
    const online = () => this.#status.phase === "waiting" && this.#begin();
    document.addEventListener("visibilitychange", visibility);
    addEventListener("online", online);
    return () => {
      clearTimeout(this.#pauseTimer);
      document.removeEventListener("visibilitychange", visibility);
      removeEventListener("online", online);
    };
  }

  #pause(): void {
    // Whoever is to give a token is not to be kept from it.
    if (this.#status.phase === "token") return;
    this.#abandon();
    this.#enter("paused");
  }

  // ── telling ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #enter(phase: Phase, more: Partial<Status> = {}): void {
    const was = this.#status;
    const { retryAt: _over, problem, ...kept } = was;
    const since = was.phase === phase ? was.since : Date.now();
    const attempts = phase === "live" ? 0 : this.#backoff.attempt;
    this.#status = { ...kept, ...(phase === "live" || !problem ? {} : { problem }), ...more, phase, since, attempts };
    this.#version += 1;
    this.#tell("status", this.#status);
  }

  #tell<E extends keyof Events<unknown>>(event: E, value: Events<Channels[C]>[E]): void {
    for (const listener of [...this.#listeners[event]]) {
      try {
        listener(value as never);
      } catch (error) {
        // A listener's fault is the page's to see, and no reason to stop.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

function hidden(): boolean {
  return typeof document !== "undefined" && document.visibilityState === "hidden";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A client that is already dialing. Attach listeners at once: nothing is told before the caller's present turn ends. */
export function connect<C extends ChannelName = "user:balances">(options: Options<C>): Client<C> {
  return new Client(options);
}

export type { SocketConstructor };
