// The token: typed into a box, kept in memory or, if wished, in this tab's session storage. Never in an address, never anywhere else.

import type { Client } from "@balance-gateway/client";
import { byId } from "./dom.js";

const KEY = "balance-gateway.token";
/** Set where the token is only to survive the page's own reload. */
const ONCE = "balance-gateway.token-once";

/** Storage may be forbidden; then the token lives in memory alone. */
function stored(): string | null {
  try {
    const token = sessionStorage.getItem(KEY);
    if (sessionStorage.getItem(ONCE) !== null) {
      sessionStorage.removeItem(ONCE);
      sessionStorage.removeItem(KEY);
    }
    return token;
  } catch {
    return null;
  }
}

function store(token: string | null): void {
  try {
    if (token === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
  } catch {
    // Memory it is.
  }
}

export class Token {
  #token = stored();
  #client: Client | undefined;
  readonly #dialog = byId<HTMLDialogElement>("token");
  readonly #text = byId<HTMLInputElement>("token-text");

  constructor() {
    byId("token-open").addEventListener("click", () => this.ask());
    byId("token-form").addEventListener("submit", () => this.#use());
    byId("token-forget").addEventListener("click", () => {
      store(null);
      this.#token = null;
      // The rows of whoever it was go with it.
      location.reload();
    });
    this.#dialog.addEventListener("close", () => (this.#text.value = ""));
  }

  attach(client: Client): void {
    this.#client = client;
  }

  /** For the client, which knows by itself that a token it used up is none. */
  give(): string | null {
    return this.#token;
  }

  /** Opens the box, with why. */
  ask(problem = ""): void {
    byId("token-problem").textContent = problem;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#text.focus();
  }

  #use(): void {
    const token = this.#text.value.trim();
    if (token === "") return;
    const keep = byId<HTMLInputElement>("token-keep").checked;
    const user = this.#client?.status.user;
    this.#token = token;
    store(keep ? token : null);
    if (user !== undefined && subjectOf(token) !== user) return startOver(token, keep);
    this.#client?.renew();
    this.#client?.reconnect();
  }
}

/** Another user's page begins empty: nothing of the user before may be left in it. */
function startOver(token: string, keep: boolean): void {
  store(token);
  if (!keep) sessionStorage.setItem(ONCE, "1");
  location.reload();
}

/** Whose token it says it is; only the gateway can tell whether that is so. */
function subjectOf(token: string): unknown {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    return (JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown }).sub;
  } catch {
    return undefined;
  }
}
