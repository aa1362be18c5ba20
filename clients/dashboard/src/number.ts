// An amount in a cell: aligned at the point, thousands apart by space that is not text, every digit there. Unknown is a dash.

import type { Amount } from "@balance-gateway/client";
import { el } from "./dom.js";

/** Digits after the point that a column makes room for; longer fractions end in an ellipsis and are whole in the row's details. */
export const MAX_FRACTION = 18;
export const MAX_WHOLE = 24;

/** Shows an amount in a cell that keeps two spans: before the point, and from it on. */
export function showAmount(cell: HTMLElement, amount: Amount | null | undefined): void {
  // Nothing to say and nothing known are two things.
  const said = amount === undefined ? "none" : (amount ?? "unknown");
  if (cell.dataset.amount === said) return;
  cell.dataset.amount = said;
  if (amount == null) {
    cell.replaceChildren(el("span", { class: "whole" }, amount === null ? "—" : ""), el("span", { class: "fraction" }));
    return;
  }
  const point = amount.indexOf(".");
  const whole = point < 0 ? amount : amount.slice(0, point);
  const fraction = el("span", { class: "fraction" }, point < 0 ? "" : amount.slice(point));
  const span = el("span", { class: "whole" });
  const sign = whole.startsWith("-") ? "-" : "";
  const digits = whole.slice(sign.length);
  const first = digits.length % 3 || 3;
  span.append(sign + digits.slice(0, first));
  for (let at = first; at < digits.length; at += 3) span.append(el("span", { class: "thousand" }, digits.slice(at, at + 3)));
  cell.replaceChildren(span, fraction);
}

/** Tells the style how wide a digit is: `ch` is that of a proportional zero, and the table's digits are all of one width. */
export function measureDigit(): void {
  const probe = el("span", { class: "probe" }, "0".repeat(50));
  document.body.append(probe);
  document.documentElement.style.setProperty("--digit", `${(probe.getBoundingClientRect().width / 50).toFixed(3)}px`);
  probe.remove();
}
