// One socket and what belongs to it alone: its timers, what it was told, and when it was last heard. It decides nothing.

import type { Problem } from "./options.js";
import type { Socket } from "./socket.js";

export type Timer = ReturnType<typeof setTimeout> | undefined;

/** One socket and what belongs to it alone. */
export class Connection {
  authenticated = false;
  /** Sent for renewal, not yet answered. */
  offered: string | undefined;
  /** Why the gateway is about to close. */
  refusal: Problem | undefined;
  reconnectWithinMs: number | undefined;
  awaitsSnapshot = false;
  resyncing = false;
  resyncs = 0;
  readonly timers: { connect?: Timer; watch?: Timer; renew?: Timer } = {};
  #open = false;
  #heardAt = clocks();

  constructor(readonly socket: Socket, public token: string) {}

  listen(to: { open: () => void; text: (text: string) => void; lost: (code: number, reason: string) => void }): void {
    this.socket.onopen = () => {
      this.#open = true;
      this.heard();
      to.open();
    };
    this.socket.onmessage = (event: { data: unknown }) => typeof event.data === "string" && to.text(event.data);
    this.socket.onclose = (event: { code: number; reason: string }) => to.lost(event.code, event.reason);
    // A close event follows with all that is told.
    this.socket.onerror = () => {};
  }

  detach(): void {
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.#open = false;
  }

  send(request: object): void {
    if (this.#open) this.socket.send(JSON.stringify(request));
  }

  heard(): void {
    this.#heardAt = clocks();
  }

  /** Time since the last word. The longer of two clocks: one stands still while a machine sleeps, the other may be set. */
  quietMs(): number {
    const now = clocks();
    return Math.max(now[0] - this.#heardAt[0], now[1] - this.#heardAt[1]);
  }
}

function clocks(): [number, number] {
  return [performance.now(), Date.now()];
}
