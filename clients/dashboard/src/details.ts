// One row in full, in a dialog: every digit, where each number comes from, why it last changed, and what it was before.

import { type Client, decimal } from "@balance-gateway/client";
import { byId, copy, el } from "./dom.js";
import { AMOUNTS, type Entry } from "./entries.js";
import { amountHint } from "./lines.js";
import { drawSpark, makeSpark } from "./spark.js";
import { ago, clock, rowState } from "./words.js";

/** Changes listed, newest first. */
const LISTED = 20;

export class Details {
  readonly #dialog = byId<HTMLDialogElement>("details");
  #entry: Entry | undefined;
  #shown = "";

  constructor(private readonly client: Client) {
    this.#dialog.addEventListener("close", () => (this.#entry = undefined));
    // A click beside the card.
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
  }

  open(entry: Entry): void {
    this.#entry = entry;
    this.#shown = "";
    this.paint();
    this.#dialog.showModal();
  }

  /** Brings it up to date; made anew only when the row or its state changed, so that a button is not taken from under a finger. */
  paint(): void {
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

  #content(entry: Entry, now: number): Node[] {
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

  #amounts({ row }: Entry, now: number): Node {
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
      list.append(el("dt", {}, name[0]!.toUpperCase() + name.slice(1)), value);
    }
    return list;
  }

  #facts({ row }: Entry): Node {
    const facts: [string, string][] = [
      ["Changed", clock(row.changed_ts)],
      ["Received", clock(row.received_ts)],
      ["Venue's time", row.venue_ts === null ? "the venue sends none" : clock(row.venue_ts)],
      ["Cause", row.cause ? `${row.cause.type}${row.cause.description ? `: ${row.cause.description}` : ""}` : "the venue gave none"],
      ...Object.entries(row.extra ?? {}).map(([name, value]): [string, string] => [name.replaceAll("_", " "), value]),
    ];
    return el("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  }

  #past({ past }: Entry): Node {
    const changes = past.slice(1).slice(-LISTED).reverse();
    if (changes.length === 0) return el("p", { class: "note" }, "No change since this page was opened.");
    const now = Date.now();
    const lines = changes.map(({ ts, total, delta, cause }) => el("tr", {},
      el("td", {}, ago(now - ts)), el("td", { class: "number" }, total ?? "—"),
      el("td", { class: "number" }, changeOf(delta)),
      el("td", {}, cause?.description ?? cause?.type ?? "")));
    const heads = ["When", "Total", "Change", "Cause"].map((title) => el("th", { scope: "col" }, title));
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Changes since this page was opened" },
      el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...lines)));
  }
}

/** By how much the total changed. What was available or locked may change while it stays. */
function changeOf(delta: string | undefined): string {
  if (delta === undefined) return "";
  if (decimal.isZero(delta)) return "none";
  return delta.startsWith("-") ? delta : `+${delta}`;
}
