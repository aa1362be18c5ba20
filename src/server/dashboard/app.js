// Built from clients/dashboard by `npm run build` there; edit its sources instead.
var __defProp = Object.defineProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};

// ../typescript/dist/backoff.js
var Backoff = class {
  firstMs;
  longestMs;
  random;
  #attempt = 0;
  constructor(firstMs, longestMs, random = Math.random) {
    this.firstMs = firstMs;
    this.longestMs = longestMs;
    this.random = random;
  }
  /** Attempts since the last reset. */
  get attempt() {
    return this.#attempt;
  }
  /** The next wait in ms: between half and all of a bound that doubles. */
  next() {
    const bound = Math.min(this.longestMs, this.firstMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt += 1;
    return Math.round(bound * (0.5 + this.random() / 2));
  }
  reset() {
    this.#attempt = 0;
  }
};

// ../typescript/dist/connection.js
var Connection = class {
  socket;
  token;
  authenticated = false;
  /** Sent for renewal, not yet answered. */
  offered;
  /** Why the gateway is about to close. */
  refusal;
  reconnectWithinMs;
  awaitsSnapshot = false;
  resyncing = false;
  resyncs = 0;
  timers = {};
  #open = false;
  #heardAt = clocks();
  constructor(socket, token2) {
    this.socket = socket;
    this.token = token2;
  }
  listen(to) {
    this.socket.onopen = () => {
      this.#open = true;
      this.heard();
      to.open();
    };
    this.socket.onmessage = (event) => typeof event.data === "string" && to.text(event.data);
    this.socket.onclose = (event) => to.lost(event.code, event.reason);
    this.socket.onerror = () => {
    };
  }
  detach() {
    for (const timer of Object.values(this.timers))
      clearTimeout(timer);
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.#open = false;
  }
  send(request) {
    if (this.#open)
      this.socket.send(JSON.stringify(request));
  }
  heard() {
    this.#heardAt = clocks();
  }
  /** Time since the last word. The longer of two clocks: one stands still while a machine sleeps, the other may be set. */
  quietMs() {
    const now = clocks();
    return Math.max(now[0] - this.#heardAt[0], now[1] - this.#heardAt[1]);
  }
};
function clocks() {
  return [performance.now(), Date.now()];
}

// ../typescript/dist/store.js
var MAX_PARTS = 16384;
function rowKey(row) {
  const last = "order_id" in row ? [row.order_id] : [row.wallet, row.asset];
  return JSON.stringify([row.venue, row.account, ...last]);
}
function accountKey(account) {
  return JSON.stringify([account.venue, account.account]);
}
var Store = class {
  channel;
  #rows = /* @__PURE__ */ new Map();
  #accounts = /* @__PURE__ */ new Map();
  #parts;
  #epoch = "";
  #gsn = 0;
  #complete = false;
  constructor(channel) {
    this.channel = channel;
  }
  get rows() {
    return this.#rows;
  }
  get accounts() {
    return this.#accounts;
  }
  /** As the gateway last said: every visible account is proven, and nothing was left out. */
  get complete() {
    return this.#complete;
  }
  /** Where to resume from; `undefined` before the first snapshot. */
  get since() {
    return this.#epoch === "" ? void 0 : { epoch: this.#epoch, gsn: this.#gsn };
  }
  /** The connection is gone: a snapshot in parts will not be completed. */
  abandon() {
    this.#parts = void 0;
  }
  /** Takes in a frame of this channel. After `"gap"` ask for a resync; until its snapshot, updates are gaps too. */
  take(frame2) {
    return frame2.type === "update" ? this.#update(frame2) : this.#snapshot(frame2);
  }
  #list(frame2) {
    const list = "orders" in frame2 ? frame2.orders : frame2.balances;
    return list;
  }
  #update(frame2) {
    const follows = frame2.epoch === this.#epoch && frame2.prev === this.#gsn && frame2.gsn >= frame2.prev;
    if (!follows || this.#parts) {
      this.#parts = void 0;
      return "gap";
    }
    const rows = [];
    for (const row of this.#list(frame2)) {
      const key = rowKey(row);
      rows.push({ key, row, before: this.#rows.get(key) });
      this.#rows.set(key, row);
    }
    for (const account of frame2.accounts)
      this.#accounts.set(accountKey(account), account);
    this.#gsn = frame2.gsn;
    this.#complete = frame2.complete;
    return { change: { kind: "update", rows, removed: [], accounts: frame2.accounts, epoch: frame2.epoch, gsn: frame2.gsn } };
  }
  #snapshot(frame2) {
    const of = frame2.parts ?? 1;
    const part = frame2.part ?? 1;
    if (part === 1) {
      this.#parts = { epoch: frame2.epoch, gsn: frame2.gsn, of, next: 1, accounts: [], rows: [] };
    }
    const held = this.#parts;
    const fits = held && held.next === part && held.of === of && held.epoch === frame2.epoch && held.gsn === frame2.gsn;
    if (!fits || of > MAX_PARTS || part > of) {
      this.#parts = void 0;
      return "gap";
    }
    held.next += 1;
    held.accounts.push(...frame2.accounts);
    for (const row of this.#list(frame2))
      held.rows.push(row);
    if (part < of)
      return "partial";
    this.#parts = void 0;
    return { change: this.#install(held, frame2.complete) };
  }
  #install(whole, complete) {
    const before = this.#rows;
    const accountsBefore = this.#accounts;
    const sameHistory = whole.epoch === this.#epoch;
    this.#rows = new Map(whole.rows.map((row) => [rowKey(row), row]));
    this.#accounts = new Map(whole.accounts.map((account) => [accountKey(account), account]));
    const rows = [];
    for (const [key, row] of this.#rows) {
      const old = before.get(key);
      if (!old || !(sameHistory ? old.gsn === row.gsn : says(old) === says(row)))
        rows.push({ key, row, before: old });
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
};
function says(row) {
  const { gsn: _gsn, received_ts: _received, changed_ts: _changed, ...content } = row;
  return JSON.stringify(content);
}

// ../typescript/dist/feed.js
var Feed = class {
  onReturn;
  #pending;
  #wake;
  #ended = false;
  constructor(onReturn) {
    this.onReturn = onReturn;
  }
  push(change) {
    const pending = this.#pending ??= {
      kind: "update",
      rows: /* @__PURE__ */ new Map(),
      removed: /* @__PURE__ */ new Map(),
      accounts: /* @__PURE__ */ new Map(),
      epoch: "",
      gsn: 0
    };
    if (change.kind === "snapshot")
      pending.kind = "snapshot";
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
    for (const account of change.accounts)
      pending.accounts.set(accountKey(account), account);
    pending.epoch = change.epoch;
    pending.gsn = change.gsn;
    this.#wake?.();
  }
  end() {
    this.#ended = true;
    this.#wake?.();
  }
  async next() {
    while (!this.#pending && !this.#ended) {
      await new Promise((wake) => this.#wake = wake);
      this.#wake = void 0;
    }
    const pending = this.#pending;
    this.#pending = void 0;
    if (!pending)
      return { done: true, value: void 0 };
    const { kind, rows, removed, accounts, epoch, gsn } = pending;
    const value = { kind, rows: [...rows.values()], removed: [...removed.values()], accounts: [...accounts.values()], epoch, gsn };
    return { done: false, value };
  }
  async return() {
    this.#pending = void 0;
    this.end();
    this.onReturn();
    return { done: true, value: void 0 };
  }
};

// ../typescript/dist/protocol.js
function afterClose(code) {
  if (code >= 4e3 && code <= 4099)
    return "stop";
  if (code >= 4100 && code <= 4199)
    return "reauth";
  if (code >= 4300 && code <= 4399)
    return "as_told";
  return "backoff";
}
function isProven(state) {
  return state === "live" || state === "degraded";
}
function parseFrame(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return void 0;
  }
  if (typeof value !== "object" || value === null || !("type" in value) || typeof value.type !== "string")
    return void 0;
  return value;
}

// ../typescript/dist/socket.browser.js
var PlatformSocket = globalThis.WebSocket;

// ../typescript/dist/client.js
var SUBPROTOCOL = "balances.v1";
var HEARTBEAT_MS = 15e3;
var SILENT_AFTER = 1.5;
var DEAD_AFTER = 2.5;
var SETTLED_MS = 1e4;
var MAX_RESYNCS = 3;
var RENEW_AGAIN_MS = 5e3;
var TOKEN_QUIET_MS = 50;
var Client = class {
  #options;
  #store;
  #backoff;
  #listeners = {
    change: /* @__PURE__ */ new Set(),
    status: /* @__PURE__ */ new Set(),
    problem: /* @__PURE__ */ new Set()
  };
  #feeds = /* @__PURE__ */ new Set();
  #unhook;
  #status = { phase: "connecting", since: Date.now(), attempts: 0 };
  #version = 0;
  #filter;
  /** Are the rows held those of `#filter`? Otherwise their gsn is of another history. */
  #resumable = false;
  #connection;
  /** Grows with every new beginning, so that what an earlier one still awaits is ignored. */
  #beginning = 0;
  #refused;
  #retryTimer;
  #pauseTimer;
  #renewing = false;
  constructor(options) {
    this.#options = options;
    this.#filter = options.filter;
    this.#store = new Store(options.channel ?? "user:balances");
    this.#backoff = new Backoff(...options.backoffMs ?? [250, 15e3]);
    this.#unhook = this.#hook();
    queueMicrotask(() => this.#status.phase === "connecting" && this.#begin());
  }
  // ── what is known ───────────────────────────────────────────────────────────────────────────────────────────────────
  get rows() {
    return this.#store.rows;
  }
  get accounts() {
    return this.#store.accounts;
  }
  get status() {
    return this.#status;
  }
  /** The gateway's word, as long as it is heard: every visible account is proven and nothing was left out. */
  get complete() {
    return this.#status.phase === "live" && this.#store.complete;
  }
  /** Grows whenever rows, accounts or the status change: a cheap snapshot identity for frameworks. */
  get version() {
    return this.#version;
  }
  /** Where a later connection would resume. */
  get since() {
    return this.#resumable ? this.#store.since : void 0;
  }
  /** A row's state as of now: never `live` while its account or our own connection is unproven. */
  stateOf(row) {
    if (row.state !== "live")
      return row.state;
    const account = this.#store.accounts.get(accountKey(row));
    return this.#status.phase === "live" && account && isProven(account.state) ? "live" : "stale";
  }
  /** An account's state as of now: `stale` instead of `live` or `degraded` while our own connection is unproven. */
  accountStateOf(account) {
    return isProven(account.state) && this.#status.phase !== "live" ? "stale" : account.state;
  }
  // ── listening ───────────────────────────────────────────────────────────────────────────────────────────────────────
  /** Calls `listener` until the returned function is called. */
  on(event, listener) {
    this.#listeners[event].add(listener);
    return () => this.#listeners[event].delete(listener);
  }
  /** Changes from now on, merged while the reader is busy. Ends when the client is closed. */
  [Symbol.asyncIterator]() {
    const feed = new Feed(() => this.#feeds.delete(feed));
    if (this.#status.phase === "closed")
      feed.end();
    else
      this.#feeds.add(feed);
    return feed;
  }
  /** Fulfilled once rows are live. Rejected when the client is closed before. */
  ready() {
    return new Promise((resolve, reject) => {
      const settle = ({ phase, problem }) => {
        if (phase === "live")
          resolve();
        else if (phase === "closed")
          reject(new Error(problem ? `${problem.code}: ${problem.message}` : "closed"));
        else
          return false;
        return true;
      };
      if (settle(this.#status))
        return;
      const off = this.on("status", (status2) => settle(status2) && off());
    });
  }
  // ── doing ───────────────────────────────────────────────────────────────────────────────────────────────────────────
  /** A new token can be had: asks for it now, on the standing connection where there is one. */
  renew() {
    if (this.#connection?.authenticated)
      return void this.#renew(this.#connection);
    if (this.#status.phase === "token" || this.#status.phase === "waiting")
      this.#begin();
  }
  /** Connects at once, where a wait or a pause would be on. */
  reconnect() {
    if (this.#status.phase === "waiting" || this.#status.phase === "paused")
      this.#begin();
  }
  /** Narrows to something else. The rows are replaced by a snapshot; until then they are those of the filter before. */
  setFilter(filter) {
    this.#filter = filter;
    this.#resumable = false;
    const connection = this.#connection;
    if (connection?.authenticated)
      this.#subscribe(connection);
  }
  /** For good. Rows stay readable. */
  close() {
    this.#finish(void 0);
  }
  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────────
  #begin() {
    const beginning = this.#abandon();
    this.#enter(this.#store.since ? "resuming" : "connecting");
    void this.#dial(beginning);
  }
  /** Ends whatever is under way, silently. */
  #abandon() {
    this.#beginning += 1;
    clearTimeout(this.#retryTimer);
    const connection = this.#connection;
    this.#connection = void 0;
    if (connection) {
      connection.detach();
      connection.socket.close(1e3);
    }
    this.#store.abandon();
    return this.#beginning;
  }
  async #dial(beginning) {
    const refused = this.#refused;
    const request = refused ? { reason: "refused", refusal: { code: refused.code, message: refused.message } } : { reason: "connect" };
    const quiet = setTimeout(() => beginning === this.#beginning && this.#enter("token"), TOKEN_QUIET_MS);
    let token2;
    try {
      token2 = await this.#options.getToken(request);
    } catch (error) {
      if (beginning === this.#beginning)
        this.#wait({ code: "TOKEN", message: messageOf(error) }, this.#backoff.next());
      return;
    } finally {
      clearTimeout(quiet);
    }
    if (beginning !== this.#beginning)
      return;
    if (!token2 || token2 === refused?.token) {
      const { code, message } = refused ?? { code: "TOKEN", message: "a token is needed" };
      return this.#enter("token", { problem: { code, message } });
    }
    this.#enter(this.#store.since ? "resuming" : "connecting");
    this.#open(token2);
  }
  #open(token2) {
    const Platform = this.#options.WebSocket ?? PlatformSocket;
    if (!Platform)
      return this.#finish({ code: "NETWORK", message: "this platform has no WebSocket; give one in the options" });
    let socket;
    try {
      socket = new Platform(this.#options.url, [SUBPROTOCOL]);
    } catch (error) {
      return this.#finish({ code: "NETWORK", message: messageOf(error) });
    }
    const connection = new Connection(socket, token2);
    this.#connection = connection;
    connection.listen({
      open: () => {
        connection.send({ type: "auth_token", id: "auth", token: token2 });
        this.#subscribe(connection);
      },
      text: (text) => this.#receive(connection, text),
      lost: (code, reason) => this.#lost(connection, code, reason)
    });
    const timeout = this.#options.connectTimeoutMs ?? 15e3;
    connection.timers.connect = setTimeout(() => this.#drop({ code: "TIMEOUT", message: "no rows in time" }), timeout);
  }
  #subscribe(connection) {
    connection.awaitsSnapshot = true;
    connection.send({
      type: "subscribe",
      id: "subscribe",
      channel: this.#store.channel,
      filter: this.#filter,
      max_rate_hz: this.#options.maxRateHz,
      since: this.since
    });
  }
  /** Gives a connection up and tries again later. */
  #drop(problem, waitMs = this.#backoff.next()) {
    this.#abandon();
    this.#wait(problem, waitMs);
  }
  #wait(problem, waitMs) {
    this.#tell("problem", problem);
    if (hidden() && Number.isFinite(this.#pauseAfter))
      return this.#enter("paused", { problem });
    this.#enter("waiting", { problem, retryAt: Date.now() + waitMs });
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#begin(), waitMs);
  }
  #finish(problem) {
    if (this.#status.phase === "closed")
      return;
    this.#abandon();
    this.#unhook();
    if (problem)
      this.#tell("problem", problem);
    this.#enter("closed", problem ? { problem } : {});
    for (const feed of this.#feeds)
      feed.end();
    this.#feeds.clear();
  }
  /** The socket closed by itself. */
  #lost(connection, code, reason) {
    const said = connection.refusal;
    const problem = said ?? {
      code: code >= 4e3 ? `CLOSED_${code}` : "NETWORK",
      message: reason || "the connection ended"
    };
    switch (afterClose(code)) {
      case "stop":
        return this.#finish(problem);
      case "reauth":
        if (code !== 4102)
          this.#refused = { token: connection.offered ?? connection.token, ...problem };
        return this.#drop(problem);
      case "as_told":
        return this.#drop(problem, Math.round(Math.random() * (connection.reconnectWithinMs ?? this.#backoff.next())));
      case "backoff":
        return this.#drop(problem);
    }
  }
  // ── frames ──────────────────────────────────────────────────────────────────────────────────────────────────────────
  #receive(connection, text) {
    connection.heard();
    if (this.#status.phase === "silent")
      this.#enter("live");
    const frame2 = parseFrame(text);
    if (!frame2)
      return this.#drop({ code: "PROTOCOL", message: "the gateway sent what is no frame" });
    switch (frame2.type) {
      case "auth_result":
        return this.#authenticated(connection, frame2);
      case "auth_expiring":
        this.#enter(this.#status.phase, { expiring: true });
        return void this.#renew(connection);
      case "snapshot":
      case "update":
        return this.#take(connection, frame2);
      case "heartbeat":
        return this.#compare(connection, frame2.gsn[this.#store.channel]);
      case "error":
        return this.#refusedRequest(connection, frame2);
      case "draining":
        connection.reconnectWithinMs = frame2.reconnect_within_ms;
        return;
      default:
        return;
    }
  }
  #authenticated(connection, frame2) {
    if (!frame2.success) {
      connection.refusal = frame2.error;
      return;
    }
    connection.authenticated = true;
    connection.token = connection.offered ?? connection.token;
    connection.offered = void 0;
    this.#refused = void 0;
    if (!connection.timers.watch) {
      const heartbeatMs = frame2.heartbeat_ms > 0 ? frame2.heartbeat_ms : HEARTBEAT_MS;
      connection.timers.watch = setInterval(() => this.#watch(connection, heartbeatMs), Math.max(100, heartbeatMs / 8));
    }
    this.#enter(this.#status.phase, { user: frame2.user, expiresAt: frame2.expires_at, expiring: false });
  }
  #take(connection, frame2) {
    if (frame2.channel !== this.#store.channel)
      return;
    if (connection.resyncing && frame2.type === "update")
      return;
    const taken = this.#store.take(frame2);
    if (taken === "partial")
      return;
    if (taken === "gap")
      return this.#resync(connection);
    connection.resyncing = false;
    connection.awaitsSnapshot = false;
    this.#resumable = true;
    clearTimeout(connection.timers.connect);
    this.#version += 1;
    if (this.#status.phase !== "live")
      this.#enter("live");
    this.#tell("change", taken.change);
    for (const feed of this.#feeds)
      feed.push(taken.change);
  }
  #resync(connection) {
    connection.resyncs += 1;
    if (connection.resyncs > MAX_RESYNCS)
      return this.#drop({ code: "PROTOCOL", message: "frames keep missing" });
    connection.resyncing = true;
    this.#enter("resuming");
    this.#tell("problem", { code: "PROTOCOL", message: "a frame is missing; asking for a snapshot" });
    connection.send({ type: "resync", id: "resync", channel: this.#store.channel });
  }
  /** A heartbeat names the last frame sent: what is not here by now was lost on the way. */
  #compare(connection, gsn) {
    if (gsn === void 0 || connection.awaitsSnapshot || connection.resyncing)
      return;
    if (gsn !== this.#store.since?.gsn)
      this.#resync(connection);
  }
  #refusedRequest(connection, { id, code, message, retry }) {
    const problem = { code, message };
    if (id !== "subscribe" && id !== "resync")
      return this.#tell("problem", problem);
    if (!connection.authenticated)
      return;
    if (retry === "never")
      return this.#finish(problem);
    if (retry === "reauth")
      this.#refused = { token: connection.token, code, message };
    this.#drop(problem);
  }
  async #renew(connection) {
    if (this.#renewing)
      return;
    this.#renewing = true;
    let token2 = null;
    let failed = false;
    try {
      const { expiresAt } = this.#status;
      token2 = await this.#options.getToken({ reason: "expiring", ...expiresAt === void 0 ? {} : { expiresAt } });
    } catch (error) {
      failed = true;
      this.#tell("problem", { code: "TOKEN", message: messageOf(error) });
    } finally {
      this.#renewing = false;
    }
    if (connection !== this.#connection)
      return;
    if (token2 && token2 !== connection.token) {
      connection.offered = token2;
      connection.send({ type: "auth_token", id: "auth", token: token2 });
    } else if (failed || token2) {
      connection.timers.renew = setTimeout(() => void this.#renew(connection), RENEW_AGAIN_MS);
    }
  }
  // ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────
  #watch(connection, heartbeatMs) {
    const quietMs = connection.quietMs();
    if (quietMs > heartbeatMs * DEAD_AFTER)
      return this.#drop({ code: "SILENCE", message: "the gateway is not heard" });
    if (quietMs > heartbeatMs * SILENT_AFTER && this.#status.phase === "live") {
      connection.send({ type: "ping" });
      this.#enter("silent");
    }
    if (this.#status.phase === "live" && Date.now() - this.#status.since > SETTLED_MS)
      this.#backoff.reset();
  }
  get #pauseAfter() {
    return this.#options.pauseHiddenAfterMs ?? 6e4;
  }
  /** Listens to the page, where there is one. */
  #hook() {
    if (typeof document === "undefined")
      return () => {
      };
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
  #pause() {
    if (this.#status.phase === "token")
      return;
    this.#abandon();
    this.#enter("paused");
  }
  // ── telling ─────────────────────────────────────────────────────────────────────────────────────────────────────────
  #enter(phase, more2 = {}) {
    const was = this.#status;
    const { retryAt: _over, problem, ...kept } = was;
    const since = was.phase === phase ? was.since : Date.now();
    const attempts = phase === "live" ? 0 : this.#backoff.attempt;
    this.#status = { ...kept, ...phase === "live" || !problem ? {} : { problem }, ...more2, phase, since, attempts };
    this.#version += 1;
    this.#tell("status", this.#status);
  }
  #tell(event, value) {
    for (const listener of [...this.#listeners[event]]) {
      try {
        listener(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
};
function hidden() {
  return typeof document !== "undefined" && document.visibilityState === "hidden";
}
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
function connect(options) {
  return new Client(options);
}

// ../typescript/dist/decimal.js
var decimal_exports = {};
__export(decimal_exports, {
  abs: () => abs,
  add: () => add,
  compare: () => compare,
  isZero: () => isZero,
  shift: () => shift,
  subtract: () => subtract,
  sum: () => sum
});
var MAX_CHARS = 4096;
var PLAIN = /^-?\d+(?:\.\d+)?$/;
function read(amount) {
  if (amount.length > MAX_CHARS || !PLAIN.test(amount))
    throw new RangeError("not a decimal in plain notation");
  const point = amount.indexOf(".");
  if (point < 0)
    return { units: BigInt(amount), scale: 0 };
  return { units: BigInt(amount.slice(0, point) + amount.slice(point + 1)), scale: amount.length - point - 1 };
}
function write({ units, scale }) {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const sign = units < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
function align(a, b) {
  const scale = Math.max(a.scale, b.scale);
  const raise = (n) => n.scale === scale ? n.units : n.units * 10n ** BigInt(scale - n.scale);
  return [raise(a), raise(b), scale];
}
function add(a, b) {
  const [x, y, scale] = align(read(a), read(b));
  return write({ units: x + y, scale });
}
function subtract(a, b) {
  const [x, y, scale] = align(read(a), read(b));
  return write({ units: x - y, scale });
}
function sum(amounts) {
  let total = { units: 0n, scale: 0 };
  for (const amount of amounts) {
    const [x, y, scale] = align(total, read(amount));
    total = { units: x + y, scale };
  }
  return write(total);
}
function compare(a, b) {
  const [x, y] = align(read(a), read(b));
  return x < y ? -1 : x > y ? 1 : 0;
}
function isZero(amount) {
  return /^-?0+(?:\.0+)?$/.test(amount);
}
function abs(amount) {
  return amount.startsWith("-") ? amount.slice(1) : amount;
}
function shift(amount, places) {
  const { units, scale } = read(amount);
  const moved = scale - places;
  return moved >= 0 ? write({ units, scale: moved }) : write({ units: units * 10n ** BigInt(-moved), scale: 0 });
}

// src/dom.ts
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== void 0));
  return element;
}
function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
function setAttribute(element, name, value) {
  if (value === void 0) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
var toastTimer;
function toast(text) {
  const place = byId("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = window.setTimeout(() => place.classList.remove("shown"), 2200);
}
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`Copied ${text.length > 40 ? `${text.slice(0, 38)}…` : text}`);
  } catch {
    toast("The browser does not let this page copy");
  }
}

// src/entries.ts
var HISTORY = 60;
var HISTORIES = 2e4;
var AMOUNTS = ["total", "available", "locked"];
var Entries = class {
  all = /* @__PURE__ */ new Map();
  #histories = 0;
  /** Takes a change in. True when rows came or went. */
  take(changes, removed, now) {
    let moved = removed.length > 0;
    for (const key of removed) this.all.delete(key);
    for (const { key, row, before } of changes) {
      const entry = this.all.get(key);
      if (!entry) {
        moved = true;
        this.all.set(key, { key, row, text: textOf(row), past: [past(row, null)], flash: void 0 });
        continue;
      }
      entry.row = row;
      if (before) this.#note(entry, before, row, now);
    }
    return moved;
  }
  #note(entry, before, row, now) {
    const columns = {};
    for (const name of AMOUNTS) {
      const [was, is] = [before[name], row[name]];
      if (was === is) continue;
      const order = was === null || is === null ? 0 : decimal_exports.compare(is, was);
      columns[name] = order > 0 ? "up" : order < 0 ? "down" : "changed";
    }
    if (Object.keys(columns).length === 0) return;
    entry.flash = { at: now, columns };
    if (entry.past.length === 1) this.#histories += 1;
    if (entry.past.length === 1 && this.#histories > HISTORIES) return;
    entry.past.push(past(row, before.total));
    if (entry.past.length > HISTORY) entry.past.shift();
  }
};
function past(row, before) {
  const delta = row.total === null || before === null ? void 0 : decimal_exports.subtract(row.total, before);
  return { ts: row.changed_ts, total: row.total, cause: row.cause, delta };
}
function textOf(row) {
  return `${row.asset} ${row.wallet} ${row.account} ${row.venue}`.toLowerCase();
}
function pieces(amount) {
  if (decimal_exports.isZero(amount)) return { sign: 0, length: 0, digits: "" };
  const negative = amount.startsWith("-");
  const plain = negative ? amount.slice(1) : amount;
  const point = plain.indexOf(".");
  const digits = point < 0 ? plain : plain.slice(0, point) + plain.slice(point + 1).replace(/0+$/, "");
  return { sign: negative ? -1 : 1, length: point < 0 ? plain.length : point, digits };
}
function comparePieces(a, b) {
  if (a.sign !== b.sign) return a.sign - b.sign;
  if (a.length !== b.length) return (a.length - b.length) * a.sign;
  return a.digits === b.digits ? 0 : a.digits < b.digits ? -a.sign : a.sign;
}

// src/number.ts
var MAX_FRACTION = 18;
var MAX_WHOLE = 24;
function showAmount(cell, amount) {
  const said = amount === void 0 ? "none" : amount ?? "unknown";
  if (cell.dataset.amount === said) return;
  cell.dataset.amount = said;
  if (amount == null) {
    cell.replaceChildren(el("span", { class: "whole" }, amount === null ? "—" : ""), el("span", { class: "fraction" }));
    return;
  }
  const point = amount.indexOf(".");
  const whole = point < 0 ? amount : amount.slice(0, point);
  const fraction = el("span", { class: "fraction" }, point < 0 ? "" : amount.slice(point));
  const span2 = el("span", { class: "whole" });
  const sign = whole.startsWith("-") ? "-" : "";
  const digits = whole.slice(sign.length);
  const first = digits.length % 3 || 3;
  span2.append(sign + digits.slice(0, first));
  for (let at = first; at < digits.length; at += 3) span2.append(el("span", { class: "thousand" }, digits.slice(at, at + 3)));
  cell.replaceChildren(span2, fraction);
}
function measureDigit() {
  const probe = el("span", { class: "probe" }, "0".repeat(50));
  document.body.append(probe);
  document.documentElement.style.setProperty("--digit", `${(probe.getBoundingClientRect().width / 50).toFixed(3)}px`);
  probe.remove();
}

// src/spark.ts
var NS = "http://www.w3.org/2000/svg";
function makeSpark(width, height) {
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", String(width));
  svg.setAttribute("height", String(height));
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(NS, "path"));
  return svg;
}
function drawSpark(svg, past2, now) {
  const path = svg.firstElementChild;
  const { width, height } = svg.viewBox.baseVal;
  const known = past2.filter(({ total }) => total !== null).map(({ total }) => Number(total));
  if (!path) return;
  if (past2.length < 2 || known.length < 2) return path.setAttribute("d", "");
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const from = past2[0].ts;
  const span2 = Math.max(1, now - from);
  const x = (ts) => (Math.min(1, Math.max(0, (ts - from) / span2)) * (width - 2) + 1).toFixed(1);
  const y = (total) => {
    const share = high === low ? 0.5 : (Number(total) - low) / (high - low);
    return (height - 2 - share * (height - 4)).toFixed(1);
  };
  let d = "";
  let open = false;
  for (const { ts, total } of past2) {
    if (total === null) {
      d += open ? `H${x(ts)}` : "";
      open = false;
      continue;
    }
    d += open ? `H${x(ts)}V${y(total)}` : `M${x(ts)} ${y(total)}`;
    open = true;
  }
  path.setAttribute("d", open ? `${d}H${width - 1}` : d);
}

// src/words.ts
function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1e3));
  if (seconds < 1) return "now";
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 100 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}
function span(ms) {
  return age(Math.max(1e3, ms));
}
function ago(ms) {
  return ms < 1e3 ? "just now" : `${age(ms)} ago`;
}
var CLOCK = new Intl.DateTimeFormat(void 0, { dateStyle: "medium", timeStyle: "medium" });
function clock(ts) {
  return CLOCK.format(ts);
}
var KIND = {
  live: "live",
  degraded: "degraded",
  stale: "stale",
  maintenance: "stale",
  auth_failed: "bad",
  disabled: "pending",
  pending: "pending",
  connecting: "pending",
  syncing: "pending"
};
function accountState(client2, account, now) {
  const unheard = client2.status.phase !== "live" && isProven(account.state);
  if (unheard) {
    return { kind: "stale", word: "stale", text: `stale for ${span(now - client2.status.since)}: the gateway is not heard` };
  }
  const word = account.state.replace("_", " ");
  const kind = KIND[account.state] ?? "stale";
  if (account.state === "live") return { kind, word, text: `live for ${span(now - account.since)}` };
  const reason = account.reason?.text ? `: ${account.reason.text}` : "";
  return { kind, word, text: `${word} for ${span(now - account.since)}${reason}` };
}
function rowState(client2, row, now) {
  const state = client2.stateOf(row);
  if (state === "live") return { kind: "live", word: "live", text: `live; the venue said so ${ago(now - row.received_ts)}` };
  if (state === "pending") return { kind: "pending", word: "pending", text: "nothing received yet" };
  if (client2.status.phase !== "live") {
    const since = now - client2.status.since;
    return { kind: "stale", word: `stale ${span(since)}`, text: `stale for ${span(since)}: the gateway is not heard` };
  }
  const account = client2.accounts.get(accountKey(row));
  if (account && !isProven(account.state)) {
    const { text } = accountState(client2, account, now);
    return { kind: "stale", word: `stale ${span(now - account.since)}`, text };
  }
  return { kind: "stale", word: "stale", text: `not confirmed in this connection; the venue said so ${ago(now - row.received_ts)}` };
}
function shorten(name, longest = 18) {
  if (name.length <= longest) return name;
  const tail = Math.floor((longest - 1) / 3);
  return `${name.slice(0, longest - 1 - tail)}…${name.slice(-tail)}`;
}
function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en-US").replaceAll(",", " ")} ${n === 1 ? one : many}`;
}

// src/lines.ts
var FLASH_MS = 1600;
var COLUMNS = ["name", "place", "total", "available", "locked", "changed", "history", "state"];
var painted = /* @__PURE__ */ new WeakMap();
function paint(client2, cells, item, now) {
  const account = item.kind === "group" ? client2.accounts.get(item.key) : client2.accounts.get(accountKey(item.entry.row));
  const subject = item.kind === "group" ? item : item.entry.row;
  const from = [subject, account, client2.status.phase, cells.line.dataset.view, Math.floor(now / 1e3)];
  const before = painted.get(cells.line);
  if (before && from.every((value, i) => value === before[i])) return;
  painted.set(cells.line, from);
  if (item.kind === "group") paintGroup(client2, cells, item, account, now);
  else paintRow(client2, cells, item, now);
}
function paintState(cells, state, word) {
  cells.line.dataset.state = state.kind;
  setText(cells.state, word);
  setAttribute(cells.state, "title", state.text);
}
function paintRow(client2, cells, { entry }, now) {
  const { row } = entry;
  const byAsset = cells.line.dataset.view === "asset";
  const name = byAsset ? `${row.account} · ${row.venue}` : shorten(row.asset, 17);
  setText(cells.name, name);
  setAttribute(cells.name, "title", byAsset ? name : row.asset);
  setText(cells.place, shorten(row.wallet, 16));
  setAttribute(cells.place, "title", row.wallet);
  for (const column of AMOUNTS) {
    showAmount(cells[column], row[column]);
    setAttribute(cells[column], "title", amountHint(row, column, now));
    cells[column].classList.toggle("known-before", row[column] === null && column === "available" && row.last_known !== void 0);
  }
  const state = rowState(client2, row, now);
  paintState(cells, state, state.word);
  paintChange(cells, entry, now);
  drawSpark(cells.spark, entry.past, now);
  flash(cells, entry, now);
}
function amountHint(row, column, now) {
  const amount = row[column];
  if (amount !== null) {
    const basis = row.basis?.[column];
    const origin = basis === "derived" ? " (derived by the venue's own identity)" : basis === "absent" ? " (no longer listed by the venue)" : "";
    return `${amount}${origin}`;
  }
  if (column === "available" && row.last_known) {
    return `unknown; last known ${row.last_known.available}, ${ago(now - row.last_known.ts)}`;
  }
  return "unknown: the venue has not said";
}
function paintChange(cells, entry, now) {
  const last = entry.past.length > 1 ? entry.past[entry.past.length - 1] : void 0;
  const cause = entry.row.cause;
  const delta = last?.delta && !/^-?0(\.0+)?$/.test(last.delta) ? last.delta : void 0;
  const sign = delta === void 0 ? "" : delta.startsWith("-") ? `▾ ${delta.slice(1)}` : `▴ ${delta}`;
  const when = age(now - entry.row.changed_ts);
  const text = [when, cause?.type, sign].filter((part) => part).join(" · ");
  setText(cells.changed, text);
  const told = cause?.description ? `${cause.description}; ` : "";
  setAttribute(cells.changed, "title", `${told}${clock(entry.row.changed_ts)}`);
}
function paintGroup(client2, cells, group2, account, now) {
  for (const cell of [cells.name, cells.place]) cell.removeAttribute("title");
  for (const column of AMOUNTS) cells[column].classList.remove("known-before");
  drawSpark(cells.spark, [], now);
  stopFlash(cells);
  if (group2.sums) return paintTotals(cells, group2);
  setText(cells.name, account?.account ?? "");
  setText(cells.place, `${account?.venue ?? ""} · ${hiddenCount(group2)}`);
  for (const column of AMOUNTS) {
    showAmount(cells[column], void 0);
    cells[column].removeAttribute("title");
  }
  if (!account) return;
  const state = accountState(client2, account, now);
  paintState(cells, state, state.word);
  setText(cells.changed, state.text);
  setAttribute(cells.changed, "title", state.text);
}
function hiddenCount({ shown, entries: entries2 }) {
  return shown === entries2.length ? count(shown, "row") : `${shown} of ${count(entries2.length, "row")}`;
}
function paintTotals(cells, group2) {
  setText(cells.name, shorten(group2.asset ?? "", 17));
  setAttribute(cells.name, "title", group2.asset);
  const venues = [...new Set(group2.entries.map(({ row }) => row.venue))];
  setText(cells.place, `${venues.length > 1 ? `${venues.length} venues` : venues[0]} · ${hiddenCount(group2)}`);
  const state = totalState(group2);
  for (const column of AMOUNTS) {
    const sum3 = group2.sums[column];
    showAmount(cells[column], sum3.amount ?? null);
    const part = sum3.unknown > 0 ? `no total: ${sum3.unknown} of ${group2.entries.length} parts unknown; the known ones add up to ${sum3.known}` : void 0;
    setAttribute(cells[column], "title", part ?? (state.kind === "live" ? sum3.known : `${sum3.known}; ${state.text}`));
  }
  setText(cells.changed, [...group2.stale, ...group2.lacking].join("; "));
  setAttribute(cells.changed, "title", state.text);
  paintState(cells, state, state.word);
}
function totalState({ stale, dead, lacking }) {
  const why = [...stale, ...lacking].join("; ");
  if (stale.length > 0) return { kind: "stale", word: dead ? "stale" : "part stale", text: `not all of it is proven: ${why}` };
  if (lacking.length > 0) return { kind: "partial", word: "incomplete", text: `what is shown is live, and there may be more: ${why}` };
  return { kind: "live", word: "complete", text: "every part is live" };
}
var running = /* @__PURE__ */ new WeakMap();
function flash(cells, entry, now) {
  const { flash: flash2 } = entry;
  const shown = running.get(cells.line);
  if (!flash2 || now - flash2.at > FLASH_MS) {
    if (shown && shown.key !== entry.key) stopFlash(cells);
    return;
  }
  if (shown?.key === entry.key && shown.at === flash2.at) return;
  stopFlash(cells);
  for (const column of AMOUNTS) {
    const direction = flash2.columns[column];
    setAttribute(cells[column], "data-flash", direction);
    for (const animation of direction ? cells[column].getAnimations() : []) animation.currentTime = now - flash2.at;
  }
  const timer = window.setTimeout(() => stopFlash(cells), FLASH_MS - (now - flash2.at));
  running.set(cells.line, { key: entry.key, at: flash2.at, timer });
}
function stopFlash(cells) {
  const shown = running.get(cells.line);
  if (!shown) return;
  clearTimeout(shown.timer);
  running.delete(cells.line);
  for (const column of AMOUNTS) cells[column].removeAttribute("data-flash");
}

// src/details.ts
var LISTED = 20;
var Details = class {
  constructor(client2) {
    this.client = client2;
    this.#dialog.addEventListener("close", () => this.#entry = void 0);
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
  }
  client;
  #dialog = byId("details");
  #entry;
  #shown = "";
  open(entry) {
    this.#entry = entry;
    this.#shown = "";
    this.paint();
    this.#dialog.showModal();
  }
  /** Brings it up to date; made anew only when the row or its state changed, so that a button is not taken from under a finger. */
  paint() {
    const entry = this.#entry;
    if (!entry) return;
    const now = Date.now();
    const state = rowState(this.client, entry.row, now);
    const shown = `${entry.row.gsn} ${state.kind} ${entry.key}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = document.activeElement?.id;
    this.#dialog.replaceChildren(...this.#content(entry, now));
    if (focused) document.getElementById(focused)?.focus();
  }
  #content(entry, now) {
    const { row } = entry;
    const close = el("button", { type: "button", id: "details-close", "aria-label": "Close" }, "Close");
    close.addEventListener("click", () => this.#dialog.close());
    const head = el("header", {}, el("h2", { id: "details-title" }, row.asset), close);
    const where = el("p", { class: "where" }, `${row.venue} / ${row.account} / ${row.wallet}`);
    const state = rowState(this.client, row, now);
    const stands = el("p", { class: "stands", "data-state": state.kind }, state.text);
    const spark = makeSpark(460, 64);
    spark.classList.add("large");
    drawSpark(spark, entry.past, now);
    return [head, where, stands, this.#amounts(entry, now), spark, this.#facts(entry), this.#past(entry)];
  }
  #amounts({ row }, now) {
    const list = el("dl", { class: "amounts" });
    for (const name of AMOUNTS) {
      const amount = row[name];
      const value = el("dd", {});
      if (amount === null) {
        value.append(el("span", { class: "number" }, "—"), el("span", { class: "note" }, amountHint(row, name, now) ?? ""));
      } else {
        const button = el("button", { type: "button", id: `copy-${name}`, "aria-label": `Copy ${name} ${amount}` }, "Copy");
        button.addEventListener("click", () => void copy(amount));
        const basis = row.basis?.[name];
        value.append(el("span", { class: "number" }, amount), basis ? el("span", { class: "note" }, basis) : "", button);
      }
      list.append(el("dt", {}, name[0].toUpperCase() + name.slice(1)), value);
    }
    return list;
  }
  #facts({ row }) {
    const facts = [
      ["Changed", clock(row.changed_ts)],
      ["Received", clock(row.received_ts)],
      ["Venue's time", row.venue_ts === null ? "the venue sends none" : clock(row.venue_ts)],
      ["Cause", row.cause ? `${row.cause.type}${row.cause.description ? `: ${row.cause.description}` : ""}` : "the venue gave none"],
      ...Object.entries(row.extra ?? {}).map(([name, value]) => [name.replaceAll("_", " "), value])
    ];
    return el("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  }
  #past({ past: past2 }) {
    const changes = past2.slice(1).slice(-LISTED).reverse();
    if (changes.length === 0) return el("p", { class: "note" }, "No change since this page was opened.");
    const now = Date.now();
    const lines = changes.map(({ ts, total, delta, cause }) => el(
      "tr",
      {},
      el("td", {}, ago(now - ts)),
      el("td", { class: "number" }, total ?? "—"),
      el("td", { class: "number" }, changeOf(delta)),
      el("td", {}, cause?.description ?? cause?.type ?? "")
    ));
    const heads = ["When", "Total", "Change", "Cause"].map((title) => el("th", { scope: "col" }, title));
    return el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Changes since this page was opened" },
      el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...lines))
    );
  }
};
function changeOf(delta) {
  if (delta === void 0) return "";
  if (decimal_exports.isZero(delta)) return "none";
  return delta.startsWith("-") ? delta : `+${delta}`;
}

// src/fit.ts
var STEPS = ["history", "points", "changed", "total-points", "locked", "available"];
var Fit = class {
  constructor(root, head) {
    this.root = root;
    this.head = head;
  }
  root;
  head;
  #steps = 0;
  #asked = "";
  #seen = "";
  folded = /* @__PURE__ */ new Set();
  /** Gives up as much as it must. What was given up comes back with another width or question, not with every number. */
  fit(isWide, question, widths) {
    const asked = `${isWide} ${this.root.clientWidth} ${question}`;
    const seen = `${asked} ${document.documentElement.style.getPropertyValue("--digit")} ${JSON.stringify(widths)}`;
    if (seen === this.#seen || this.root.clientWidth === 0) return;
    if (asked !== this.#asked) this.#give(0);
    [this.#seen, this.#asked] = [seen, asked];
    while (isWide && this.#steps < STEPS.length && this.head.offsetWidth > this.root.clientWidth) this.#give(this.#steps + 1);
  }
  #give(steps) {
    this.#steps = steps;
    const given = STEPS.slice(0, steps);
    this.root.dataset.without = given.join(" ");
    this.folded = new Set(given.filter((step) => step !== "points" && step !== "total-points"));
  }
};

// src/grid.ts
var OVERSCAN = 8;
var TITLES = {
  name: "Asset",
  place: "Wallet",
  total: "Total",
  available: "Available",
  locked: "Locked",
  changed: "Last change",
  history: "Since opened",
  state: "State"
};
var WIDE = matchMedia("(min-width: 720px)");
var Grid = class {
  constructor(client2, hooks) {
    this.client = client2;
    this.hooks = hooks;
    this.#makeHead();
    this.#root.append(el("div", { role: "rowgroup", class: "headgroup" }, this.#head), this.#body);
    this.#root.setAttribute("aria-colcount", String(COLUMNS.length));
    this.#root.addEventListener("scroll", () => this.paint(), { passive: true });
    this.#root.addEventListener("keydown", (event) => this.#key(event));
    this.#body.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.paint()).observe(this.#root);
    WIDE.addEventListener("change", () => this.paint());
  }
  client;
  hooks;
  #root = byId("grid");
  #head = el("div", { class: "head", role: "row", "aria-rowindex": "1" });
  #body = el("div", { class: "body", role: "rowgroup" });
  #titles = /* @__PURE__ */ new Map();
  #pool = [];
  #model = { items: [], rows: 0, shown: 0, widths: { total: [1, 0, 1], available: [1, 0, 1], locked: [1, 0, 1] } };
  #fit = new Fit(this.#root, this.#head);
  #view = "account";
  /** What was asked for: where that changes, columns that were folded away come back if there is room. */
  #asked = "";
  #active = 0;
  #activeColumn = 0;
  show(model2, query2) {
    const active = this.#model.items[this.#active]?.key;
    this.#model = model2;
    this.#view = query2.view;
    const at = active === void 0 ? -1 : model2.items.findIndex(({ key }) => key === active);
    this.#active = at >= 0 ? at : Math.min(this.#active, Math.max(0, model2.items.length - 1));
    this.#root.setAttribute("aria-rowcount", String(model2.items.length + 1));
    for (const name of AMOUNTS) {
      const [whole, fraction, both] = model2.widths[name];
      this.#root.style.setProperty(`--${name}-whole`, String(Math.min(whole, MAX_WHOLE)));
      this.#root.style.setProperty(`--${name}-fraction`, String(Math.min(fraction, MAX_FRACTION)));
      this.#root.style.setProperty(`--${name}-both`, String(Math.min(both, MAX_WHOLE + MAX_FRACTION)));
    }
    this.#asked = [query2.view, query2.find, query2.venue, query2.account, query2.show].join("\n");
    this.#showSort(query2.sort);
    this.#titles.get("name").firstElementChild.textContent = query2.view === "asset" ? "Asset / account" : "Asset";
    this.paint();
  }
  /** Paints the lines in sight. */
  paint() {
    this.#fit.fit(WIDE.matches, this.#asked, this.#model.widths);
    const lineHeight = WIDE.matches ? 30 : 62;
    const { items } = this.#model;
    const { scrollTop, clientHeight } = this.#root;
    const first = Math.max(0, Math.floor(scrollTop / lineHeight) - OVERSCAN);
    const last = Math.min(items.length, Math.ceil((scrollTop + clientHeight) / lineHeight) + OVERSCAN);
    this.#body.style.height = `${items.length * lineHeight}px`;
    while (this.#pool.length < last - first) this.#pool.push(this.#makeLine(this.#pool.length));
    const now = Date.now();
    const used = /* @__PURE__ */ new Set();
    for (let at = first; at < last; at += 1) {
      const cells = this.#pool[at % this.#pool.length];
      used.add(cells);
      this.#place(cells, at, lineHeight, items[at], now);
    }
    for (const cells of this.#pool) if (!used.has(cells)) cells.line.hidden = true;
    setAttribute(this.#root, "aria-activedescendant", items.length > 0 ? this.#activeId() : void 0);
  }
  #place(cells, at, lineHeight, item, now) {
    const { line } = cells;
    line.hidden = false;
    line.style.transform = `translateY(${at * lineHeight}px)`;
    line.dataset.kind = item.kind;
    line.dataset.view = this.#view;
    line.dataset.at = String(at);
    setAttribute(line, "aria-rowindex", String(at + 2));
    setAttribute(line, "aria-level", item.kind === "group" ? "1" : "2");
    setAttribute(line, "aria-expanded", item.kind === "group" ? String(!item.folded) : void 0);
    line.classList.toggle("active", at === this.#active);
    const active = at === this.#active ? this.#columnOf(item) : void 0;
    for (const column of COLUMNS) cells[column].classList.toggle("active", column === active);
    paint(this.client, cells, item, now);
  }
  // ── making ──────────────────────────────────────────────────────────────────────────────────────────────────────────
  #makeHead() {
    for (const [i, column] of COLUMNS.entries()) {
      const title = el("div", { role: "columnheader", class: `cell ${column}`, "aria-colindex": String(i + 1) });
      if (column === "history") {
        title.append(TITLES[column]);
      } else {
        const button = el("button", { type: "button" }, TITLES[column]);
        button.addEventListener("click", () => this.hooks.sort(column));
        title.append(button);
      }
      this.#titles.set(column, title);
      this.#head.append(title);
    }
  }
  #showSort({ column, ascending }) {
    for (const [name, title] of this.#titles) {
      if (name === "history") continue;
      setAttribute(title, "aria-sort", name === column ? ascending ? "ascending" : "descending" : "none");
    }
  }
  #makeLine(n) {
    const line = el("div", { class: "line", role: "row" });
    const cells = { line, spark: makeSpark(80, 18) };
    COLUMNS.forEach((column, i) => {
      const cell = el("div", { class: `cell ${column}`, role: "gridcell", id: `cell-${n}-${i}`, "aria-colindex": String(i + 1) });
      if (column === "history") cell.append(cells.spark);
      cells[column] = cell;
      line.append(cell);
    });
    this.#body.append(line);
    return cells;
  }
  // ── moving ──────────────────────────────────────────────────────────────────────────────────────────────────────────
  #activeId() {
    const item = this.#model.items[this.#active];
    const column = item ? COLUMNS.indexOf(this.#columnOf(item)) : 0;
    return `cell-${this.#active % Math.max(1, this.#pool.length)}-${column}`;
  }
  /** The cells that a line shows. What has no room is in the row's details; a group without numbers says in their place why it stands so. */
  #columnsOf(item) {
    const folded = this.#fit.folded;
    const isOfAccount = item.kind === "group" && item.sums === void 0;
    const isDoubted = item.kind === "group" && item.stale.length + item.lacking.length > 0;
    return COLUMNS.filter((column) => {
      if (item.kind === "group" && column === "history") return false;
      if (column === "changed" && folded.has("changed")) return isOfAccount || isDoubted;
      if (column === "place" && folded.has("changed") && isDoubted) return false;
      return !(isOfAccount && AMOUNTS.some((name) => name === column)) && !folded.has(column);
    });
  }
  /** The cell of a line that is the active one: where the active column is not shown, the next that is. */
  #columnOf(item) {
    const columns = this.#columnsOf(item);
    return columns.find((column) => COLUMNS.indexOf(column) >= this.#activeColumn) ?? columns[columns.length - 1];
  }
  #key(event) {
    if (event.target !== this.#root || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.#root.clientHeight / 30) - 2);
    const item = this.#model.items[this.#active];
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity
    };
    const step = steps[event.key];
    if (step !== void 0) this.#move(this.#active + step);
    else if (event.key === "ArrowRight" || event.key === "ArrowLeft") this.#sideways(event.key === "ArrowRight" ? 1 : -1, item);
    else if (event.key === "Enter" || event.key === " ") item && this.#act(item, this.#columnOf(item));
    else if (event.key === "c" || event.key === "C") item && this.#copy(item, this.#columnOf(item));
    else return;
    event.preventDefault();
  }
  #move(to) {
    this.#active = Math.max(0, Math.min(this.#model.items.length - 1, to));
    const lineHeight = WIDE.matches ? 30 : 62;
    const headHeight = this.#head.offsetHeight;
    const top = this.#active * lineHeight;
    const { scrollTop, clientHeight } = this.#root;
    if (top < scrollTop) this.#root.scrollTop = top;
    else if (top + lineHeight + headHeight > scrollTop + clientHeight) this.#root.scrollTop = top + lineHeight + headHeight - clientHeight;
    this.paint();
  }
  #sideways(step, item) {
    if (item?.kind === "group" && this.#activeColumn === 0 && item.folded === step > 0) return this.hooks.fold(item.key);
    if (!item) return;
    const columns = this.#columnsOf(item);
    const at = Math.max(0, Math.min(columns.length - 1, columns.indexOf(this.#columnOf(item)) + step));
    this.#activeColumn = COLUMNS.indexOf(columns[at]);
    this.paint();
    document.getElementById(this.#activeId())?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  #click(event) {
    const target = event.target;
    const line = target.closest(".line");
    const cell = target.closest(".cell");
    const item = this.#model.items[Number(line?.dataset.at)];
    if (!line || !cell || !item || !getSelection()?.isCollapsed) return;
    this.#active = Number(line.dataset.at);
    const column = COLUMNS.find((name) => cell.classList.contains(name)) ?? "name";
    this.#activeColumn = COLUMNS.indexOf(column);
    this.#act(item, column);
    this.paint();
  }
  #act(item, column) {
    const amount = AMOUNTS.find((name) => name === column);
    if (amount && WIDE.matches && this.#copy(item, column)) return;
    if (item.kind === "group") this.hooks.fold(item.key);
    else this.hooks.open(item);
  }
  /** Copies what the cell stands for, exactly. False where there is nothing to copy. */
  #copy(item, column) {
    const amount = AMOUNTS.find((name) => name === column);
    let text;
    if (item.kind === "row") text = amount ? item.entry.row[amount] : column === "place" ? item.entry.row.wallet : item.entry.row.asset;
    else text = amount ? item.sums?.[amount].amount : item.asset ?? this.client.accounts.get(item.key)?.account;
    if (text == null) return false;
    void copy(text);
    return true;
  }
};

// src/model.ts
var DUST = pieces("0.0001");
function build(client2, entries2, query2) {
  const within = [...entries2].filter(({ row }) => (query2.venue === "" || row.venue === query2.venue) && (query2.account === "" || row.account === query2.account));
  const groups = /* @__PURE__ */ new Map();
  for (const entry of within) {
    const key = query2.view === "asset" ? entry.row.asset : accountKey(entry.row);
    const group2 = groups.get(key);
    if (group2) group2.push(entry);
    else groups.set(key, [entry]);
  }
  if (query2.view === "account") {
    for (const [key, account] of client2.accounts) {
      const chosen2 = (query2.venue === "" || account.venue === query2.venue) && (query2.account === "" || account.account === query2.account);
      if (chosen2 && !groups.has(key)) groups.set(key, []);
    }
  }
  return arrange(client2, groups, query2, within.length);
}
function arrange(client2, groups, query2, rows) {
  const items = [];
  const widths = { total: [4, 0, 4], available: [4, 0, 4], locked: [4, 0, 4] };
  const unproven = query2.view === "asset" ? accountsUnproven(client2, query2) : /* @__PURE__ */ new Map();
  const passes = test(query2);
  const order = sorter(query2);
  let shown = 0;
  const made = [...groups].map(([key, entries2]) => {
    const visible = entries2.filter(passes).sort(order);
    return [group(client2, key, entries2, visible.length, query2, unproven), visible];
  });
  made.sort(([a, aRows], [b, bRows]) => groupOrder(query2, a, b, aRows, bRows));
  for (const [head, visible] of made) {
    if (visible.length === 0 && (query2.find !== "" || query2.view === "asset")) continue;
    shown += visible.length;
    items.push(head);
    for (const name of AMOUNTS) widen(widths[name], head.sums?.[name].amount);
    if (head.folded) continue;
    for (const entry of visible) {
      items.push({ kind: "row", key: entry.key, entry });
      for (const name of AMOUNTS) widen(widths[name], entry.row[name]);
    }
  }
  return { items, rows, shown, widths };
}
function widen(width, amount) {
  if (!amount) return;
  const point = amount.indexOf(".");
  const whole = point < 0 ? amount.length : point;
  if (whole > width[0]) width[0] = whole;
  const fraction = point < 0 ? 0 : amount.length - point - 1;
  if (fraction > width[1]) width[1] = fraction;
  if (whole + fraction > width[2]) width[2] = whole + fraction;
}
function test(query2) {
  const words = query2.find.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return ({ row, text }) => words.every((word) => text.includes(word)) && (query2.show === "all" || !small(row, query2.show));
}
function small(row, show) {
  if (row.total === null && (row.available === null || row.locked === null)) return false;
  return AMOUNTS.every((name) => {
    const amount = row[name];
    if (amount === null) return true;
    if (decimal_exports.isZero(amount)) return true;
    return show === "nodust" && comparePieces(pieces(decimal_exports.abs(amount)), DUST) < 0;
  });
}
function group(client2, key, entries2, shown, query2, unproven) {
  const folded = query2.turned.has(key) !== (query2.view === "asset" && entries2.length === 1);
  if (query2.view === "account") {
    return { kind: "group", key, folded, shown, entries: entries2, stale: [], dead: false, lacking: [] };
  }
  const sums = Object.fromEntries(AMOUNTS.map((name) => [name, sum2(entries2, name)]));
  const parts = new Set(entries2.map(({ row }) => accountKey(row)));
  const without = [...unproven.keys()].filter((of) => !parts.has(of)).map((of) => client2.accounts.get(of)?.account ?? of);
  const stale = entries2.filter(({ row }) => client2.stateOf(row) !== "live");
  const told = stale.map(({ row }) => `${row.account} ${unproven.get(accountKey(row)) ?? client2.stateOf(row)}`);
  const lacking = [];
  if (without.length > 0) lacking.push(`without ${without.join(", ")}`);
  if (leftOut(client2, query2, unproven)) lacking.push("rows were left out");
  if (sums.total.unknown > 0) lacking.push(`${sums.total.unknown} of ${entries2.length} unknown`);
  return { kind: "group", key, folded, shown, entries: entries2, asset: key, sums, stale: [...new Set(told)], dead: stale.length === entries2.length, lacking };
}
function sum2(entries2, name) {
  const known = [];
  for (const { row } of entries2) {
    const amount2 = row[name];
    if (amount2 !== null) known.push(amount2);
  }
  const amount = decimal_exports.sum(known);
  const unknown = entries2.length - known.length;
  return { amount: unknown > 0 ? void 0 : amount, known: amount, unknown };
}
function accountsUnproven(client2, query2) {
  const unproven = /* @__PURE__ */ new Map();
  for (const [key, account] of client2.accounts) {
    if (query2.venue !== "" && account.venue !== query2.venue) continue;
    if (query2.account !== "" && account.account !== query2.account) continue;
    const state = client2.accountStateOf(account);
    if (!isProven(state)) unproven.set(key, state.replace("_", " "));
  }
  return unproven;
}
function leftOut(client2, query2, unproven) {
  return unproven.size === 0 && !client2.complete && query2.venue === "" && query2.account === "";
}
function collate(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
function sorter({ view, sort: { column, ascending } }) {
  const sign = ascending ? 1 : -1;
  const place = (row) => `${row.venue} ${row.account} ${row.wallet}`;
  const byName = (a, b) => view === "asset" ? collate(place(a.row), place(b.row)) : collate(a.row.asset, b.row.asset) || collate(a.row.wallet, b.row.wallet);
  switch (column) {
    case "name":
      return (a, b) => sign * byName(a, b);
    case "place":
      return (a, b) => sign * collate(place(a.row), place(b.row)) || byName(a, b);
    case "changed":
      return (a, b) => sign * (a.row.changed_ts - b.row.changed_ts) || byName(a, b);
    case "state":
      return (a, b) => sign * collate(a.row.state, b.row.state) || byName(a, b);
    default:
      return (a, b) => byAmount(a.row[column], b.row[column], sign) || byName(a, b);
  }
}
var PIECES = /* @__PURE__ */ new Map();
function piecesOf(amount) {
  let found = PIECES.get(amount);
  if (!found) {
    if (PIECES.size > 1e5) PIECES.clear();
    PIECES.set(amount, found = pieces(amount));
  }
  return found;
}
function byAmount(a, b, sign) {
  if (a == null || b == null) return (a == null ? 1 : 0) - (b == null ? 1 : 0);
  return sign * comparePieces(piecesOf(a), piecesOf(b));
}
function groupOrder({ view, sort: { column, ascending } }, a, b, aRows, bRows) {
  const sign = ascending ? 1 : -1;
  const byName = collate(a.key, b.key);
  if (column === "changed") {
    const newest = (rows) => rows.reduce((at, { row }) => Math.max(at, row.changed_ts), 0);
    return sign * (newest(aRows) - newest(bRows)) || byName;
  }
  if (view === "asset" && (column === "total" || column === "available" || column === "locked")) {
    return byAmount(a.sums?.[column].amount, b.sums?.[column].amount, sign) || byName;
  }
  return column === "name" || column === "place" ? sign * byName : byName;
}

// src/status.ts
var ASK_EVERY_MS = 3e3;
var MAX_FACTS = 40;
var Status = class {
  /** `token`: the one that the connection was made with. */
  constructor(client2, token2) {
    this.client = client2;
    this.token = token2;
  }
  client;
  token;
  #place = byId("status");
  #shown = "";
  /** By account, as last asked for. */
  #proven = /* @__PURE__ */ new Map();
  #askedAt = 0;
  paint({ venue, account, find }) {
    if (this.#place.hidden) return;
    const now = Date.now();
    void this.#ask(now);
    const newest = /* @__PURE__ */ new Map();
    for (const row of this.client.rows.values()) {
      const of = newest.get(row.account) ?? { rows: 0, received: 0 };
      newest.set(row.account, { rows: of.rows + 1, received: Math.max(of.received, row.received_ts) });
    }
    const accounts = [...this.client.accounts.values()].filter((of) => (venue === "" || of.venue === venue) && (account === "" || of.account === account) && `${of.account} ${of.venue}`.toLowerCase().includes(find.trim().toLowerCase()));
    const shown = JSON.stringify([Math.floor(now / 1e3), this.client.status.phase, accounts, [...newest], [...this.#proven]]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#place.replaceChildren(...accounts.map((of) => this.#card(of, newest.get(of.account), now)));
  }
  /** Asks when each account was last proven alive. What fails leaves the ages growing, which is what is known then. */
  async #ask(now) {
    const token2 = this.token();
    if (token2 === null || this.client.status.phase !== "live" || now - this.#askedAt < ASK_EVERY_MS) return;
    this.#askedAt = now;
    try {
      const answer = await fetch("v1/accounts", { headers: { authorization: `Bearer ${token2}` }, cache: "no-store" });
      if (!answer.ok) return;
      const { accounts } = await answer.json();
      this.#proven = new Map(accounts.map((account) => [accountKey(account), account.proven_ts ?? 0]));
    } catch {
    }
  }
  /** The newer of what a frame and what an answer said. */
  #proof(account, now) {
    const proven = Math.max(account.proven_ts ?? 0, this.#proven.get(accountKey(account)) ?? 0);
    return proven === 0 ? "not yet" : ago(now - proven);
  }
  #card(account, rows, now) {
    const state = accountState(this.client, account, now);
    const facts = [
      ["Proven alive", this.#proof(account, now)],
      ["Rows", count(rows?.rows ?? 0, "row")],
      ["Newest row", rows ? `received ${ago(now - rows.received)}` : "none yet"],
      ["Confirmed", account.last_confirmed_ts === void 0 ? "never" : ago(now - account.last_confirmed_ts)],
      ["Reconnects", String(account.reconnect_count ?? 0)],
      ["Resyncs", String(account.resync_count ?? 0)],
      ["Drift", account.drift_count ? `${count(account.drift_count, "row")} corrected` : "none"],
      ["Fees", account.fees ? `maker ${percent(account.fees.maker)}, taker ${percent(account.fees.taker)}` : "not said"]
    ];
    return el(
      "article",
      { class: "account", "data-state": state.kind, "aria-label": account.account },
      el("header", {}, el("h2", {}, account.account), el("span", { class: "venue" }, account.venue)),
      el("p", { class: "stands", "data-state": state.kind }, state.text),
      ...(account.warnings ?? []).map((text) => el("p", { class: "warning" }, `Warning: ${text}`)),
      pairs(facts),
      more("Statistics", account.stats),
      more("Permissions of the key", account.permissions)
    );
  }
};
function percent(fraction) {
  const shifted = decimal_exports.shift(fraction, 2);
  return `${shifted.includes(".") ? shifted.replace(/\.?0+$/, "") : shifted} %`;
}
function pairs(facts) {
  return el("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
function more(title, value) {
  const facts = [];
  flatten("", value, facts);
  return facts.length === 0 ? void 0 : el("div", { class: "more" }, el("h3", {}, title), pairs(facts));
}
function flatten(name, value, into) {
  if (into.length >= MAX_FACTS || value === void 0 || value === null) return;
  if (typeof value !== "object") return void into.push([name.replaceAll("_", " ") || "value", String(value)]);
  const flags = switchesOn(value);
  if (flags !== void 0 && name !== "") return void into.push([name.replaceAll("_", " "), flags.join(", ") || "no"]);
  for (const [key, inner] of Object.entries(value)) flatten(key, inner, into);
}
function switchesOn(value) {
  const all = Object.entries(value);
  const switches = all.every(([, on]) => on === 0 || on === 1 || typeof on === "boolean");
  return switches ? all.filter(([, on]) => on === 1 || on === true).map(([key]) => key.replaceAll("_", " ")) : void 0;
}

// src/theme.ts
var KEY = "balance-gateway.theme";
var THEMES = ["auto", "light", "dark"];
function chosen() {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === kept) ?? "auto";
  } catch {
    return "auto";
  }
}
function startTheme() {
  const button = byId("theme");
  let theme = chosen();
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try {
      localStorage.setItem(KEY, theme);
    } catch {
    }
    apply();
  });
  apply();
}

// src/token.ts
var KEY2 = "balance-gateway.token";
var ONCE = "balance-gateway.token-once";
function stored() {
  try {
    const token2 = sessionStorage.getItem(KEY2);
    if (sessionStorage.getItem(ONCE) !== null) {
      sessionStorage.removeItem(ONCE);
      sessionStorage.removeItem(KEY2);
    }
    return token2;
  } catch {
    return null;
  }
}
function store(token2) {
  try {
    if (token2 === null) sessionStorage.removeItem(KEY2);
    else sessionStorage.setItem(KEY2, token2);
  } catch {
  }
}
var Token = class {
  #token = stored();
  #client;
  #dialog = byId("token");
  #text = byId("token-text");
  constructor() {
    byId("token-open").addEventListener("click", () => this.ask());
    byId("token-form").addEventListener("submit", () => this.#use());
    byId("token-forget").addEventListener("click", () => {
      store(null);
      this.#token = null;
      location.reload();
    });
    this.#dialog.addEventListener("close", () => this.#text.value = "");
  }
  attach(client2) {
    this.#client = client2;
  }
  /** For the client, which knows by itself that a token it used up is none. */
  give() {
    return this.#token;
  }
  /** Opens the box, with why. */
  ask(problem = "") {
    byId("token-problem").textContent = problem;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#text.focus();
  }
  #use() {
    const token2 = this.#text.value.trim();
    if (token2 === "") return;
    const keep = byId("token-keep").checked;
    const user = this.#client?.status.user;
    this.#token = token2;
    store(keep ? token2 : null);
    if (user !== void 0 && subjectOf(token2) !== user) return startOver(token2, keep);
    this.#client?.renew();
    this.#client?.reconnect();
  }
};
function startOver(token2, keep) {
  store(token2);
  if (!keep) sessionStorage.setItem(ONCE, "1");
  location.reload();
}
function subjectOf(token2) {
  try {
    const payload = (token2.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)).sub;
  } catch {
    return void 0;
  }
}

// src/main.ts
var ARRANGE_EVERY_MS = 250;
var token = new Token();
var socketUrl = new URL("v1/ws", location.href);
socketUrl.protocol = location.protocol === "https:" ? "wss:" : "ws:";
var client = connect({ url: socketUrl.href, getToken: () => token.give(), maxRateHz: 20 });
token.attach(client);
var entries = new Entries();
var query = {
  view: "account",
  find: "",
  venue: "",
  account: "",
  show: "all",
  sort: { column: "name", ascending: true },
  turned: /* @__PURE__ */ new Set()
};
var details = new Details(client);
var status = new Status(client, () => token.give());
var grid = new Grid(client, {
  sort(column) {
    const { sort } = query;
    const first = column === "name" || column === "place" || column === "state";
    query.sort = { column, ascending: sort.column === column ? !sort.ascending : first };
    arrange2();
  },
  fold(key) {
    if (!query.turned.delete(key)) query.turned.add(key);
    arrange2();
  },
  open: (item) => item.kind === "row" && details.open(item.entry)
});
var model;
var arrangedAt = 0;
var arrangeTimer;
var frame = 0;
function arrange2() {
  clearTimeout(arrangeTimer);
  arrangeTimer = void 0;
  arrangedAt = performance.now();
  if (query.view !== "status") {
    model = build(client, entries.all.values(), query);
    grid.show(model, query);
  }
  paintFrame();
}
function arrangeSoon() {
  const wait = Math.max(0, ARRANGE_EVERY_MS - (performance.now() - arrangedAt));
  arrangeTimer ??= window.setTimeout(arrange2, wait);
}
function paintSoon() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    paintFrame();
  });
}
function paintFrame() {
  if (query.view === "status") status.paint(query);
  else grid.paint();
  details.paint();
  paintTop();
}
client.on("change", (change) => {
  const moved = entries.take(change.rows, change.removed.map(rowKey), Date.now());
  const others = change.accounts.length > 0 && fillChoices();
  const fixed = query.sort.column === "name" || query.sort.column === "place";
  if (model === void 0) arrange2();
  else if (moved || others || query.view === "asset" || query.show !== "all" || !fixed || outgrown(change)) arrangeSoon();
  paintSoon();
});
function outgrown({ rows }) {
  const widths = model?.widths;
  return widths === void 0 || rows.some(({ row }) => ["total", "available", "locked"].some((name) => {
    const [whole = "", fraction = ""] = (row[name] ?? "").split(".");
    return whole.length > widths[name][0] || fraction.length > widths[name][1] || whole.length + fraction.length > widths[name][2];
  }));
}
function linkText({ phase, problem, retryAt, since }) {
  const now = Date.now();
  const why = problem ? `: ${problem.message}` : "";
  switch (phase) {
    case "live":
      return "Live";
    case "connecting":
      return "Connecting";
    case "resuming":
      return "Resuming";
    case "silent":
      return `Not heard for ${age(Math.max(1e3, now - since))}`;
    case "waiting":
      return `Not connected; next try in ${Math.max(1, Math.ceil(((retryAt ?? now) - now) / 1e3))} s`;
    case "paused":
      return "Paused while hidden";
    case "token":
      return "Needs a token";
    case "closed":
      return `Stopped${why}`;
  }
}
function paintTop() {
  const { status: link } = client;
  const now = Date.now();
  const place = byId("link");
  place.dataset.phase = link.phase;
  setText(place, linkText(link));
  setAttribute(place, "title", link.problem ? `${link.problem.code}: ${link.problem.message}` : void 0);
  setText(byId("who"), link.user ?? "");
  const whole = byId("whole");
  const accounts = [...client.accounts.values()];
  whole.hidden = accounts.length === 0;
  whole.dataset.complete = String(client.complete);
  const unproven = accounts.filter((account) => !["live", "degraded"].includes(client.accountStateOf(account))).length;
  setText(whole, client.complete ? `Complete: ${count(accounts.length, "account")}` : unproven > 0 ? `Incomplete: ${unproven} of ${count(accounts.length, "account")} not live` : "Incomplete: rows were left out");
  const notice = byId("notice");
  const expiring = link.expiring === true && link.expiresAt !== void 0 && link.expiresAt > now && link.phase === "live";
  notice.hidden = !expiring;
  if (expiring) setText(notice, "The token ends within a minute. Enter a new one and nothing is interrupted.");
  paintEmpty();
}
function paintEmpty() {
  const empty = byId("empty");
  const text = query.view === "status" ? client.accounts.size > 0 ? "" : "No account is visible." : (model?.items.length ?? 0) > 0 ? "" : client.since === void 0 ? "" : entries.all.size > 0 || client.accounts.size > 0 ? "Nothing matches." : "This token has a right to no account.";
  empty.hidden = text === "";
  setText(empty, text);
  setText(byId("count"), query.view === "status" || !model ? "" : model.shown === entries.all.size ? count(model.shown, "row") : `${model.shown} of ${count(entries.all.size, "row")}`);
}
client.on("status", (link) => {
  if (link.phase === "token") token.ask(link.problem && link.problem.code !== "TOKEN" ? `${link.problem.message}.` : "");
  arrangeSoon();
  paintSoon();
});
setInterval(() => document.visibilityState === "visible" && paintSoon(), 1e3);
function fillChoices() {
  const accounts = [...client.accounts.values()];
  const venues = fill(byId("venue"), [...new Set(accounts.map(({ venue }) => venue))]);
  return fill(byId("account"), accounts.map(({ account }) => account)) || venues;
}
function fill(select, values) {
  const wanted = values.sort();
  const present = [...select.options].slice(1).map(({ value }) => value);
  if (JSON.stringify(wanted) === JSON.stringify(present)) return false;
  const chosen2 = select.value;
  select.replaceChildren(select.options[0], ...wanted.map((value) => el("option", { value }, value)));
  select.value = wanted.includes(chosen2) ? chosen2 : "";
  if (select.value !== chosen2) select.dispatchEvent(new Event("change"));
  return true;
}
function choose(id) {
  const select = byId(id);
  select.addEventListener("change", () => {
    query[id] = select.value;
    arrange2();
  });
}
choose("venue");
choose("account");
choose("show");
byId("show").value = "all";
byId("find").addEventListener("input", (event) => {
  query.find = event.target.value;
  arrange2();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
  if (event.key !== "/" || typing || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  byId("find").focus();
});
for (const button of document.querySelectorAll(".views button")) {
  button.addEventListener("click", () => {
    const view = button.dataset.view;
    for (const other of document.querySelectorAll(".views button")) setAttribute(other, "aria-pressed", String(other === button));
    byId("grid").hidden = view === "status";
    byId("status").hidden = view !== "status";
    query.view = view;
    arrange2();
  });
}
startTheme();
measureDigit();
void document.fonts.ready.then(measureDigit);
paintTop();
