// What the table does without where a window is narrow, so that the state of a row is in sight at every width. It knows no row.

import type { Column } from "./lines.js";
import type { Model } from "./model.js";

/** What may be given up, least missed first: columns, and the room that numbers take to stand point under point. No digit is ever
 * given up: what a folded column holds is in the row's details. */
const STEPS = ["history", "points", "changed", "total-points", "locked", "available"] as const;

export class Fit {
  #steps = 0;
  #asked = "";
  #seen = "";
  folded: ReadonlySet<Column> = new Set();

  constructor(private readonly root: HTMLElement, private readonly head: HTMLElement) {}

  /** Gives up as much as it must. What was given up comes back with another width or question, not with every number. */
  fit(isWide: boolean, question: string, widths: Model["widths"]): void {
    const asked = `${isWide} ${this.root.clientWidth} ${question}`;
    const seen = `${asked} ${document.documentElement.style.getPropertyValue("--digit")} ${JSON.stringify(widths)}`;
    if (seen === this.#seen || this.root.clientWidth === 0) return;
    if (asked !== this.#asked) this.#give(0);
    [this.#seen, this.#asked] = [seen, asked];
    while (isWide && this.#steps < STEPS.length && this.head.offsetWidth > this.root.clientWidth) this.#give(this.#steps + 1);
  }

  #give(steps: number): void {
    this.#steps = steps;
    const given = STEPS.slice(0, steps);
    this.root.dataset.without = given.join(" ");
    this.folded = new Set(given.filter((step) => step !== "points" && step !== "total-points"));
  }
}
