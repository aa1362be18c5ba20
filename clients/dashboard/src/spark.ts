// A row's small line: its total since the page was opened. Floating point is for places on the screen alone.

import type { Past } from "./entries.js";

const NS = "http://www.w3.org/2000/svg";

export function makeSpark(width: number, height: number): SVGSVGElement {
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", String(width));
  svg.setAttribute("height", String(height));
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(NS, "path"));
  return svg;
}

/** Draws steps: a balance holds until it changes. Nothing is drawn before the second value, and nothing where it was unknown. */
export function drawSpark(svg: SVGSVGElement, past: readonly Past[], now: number): void {
  const path = svg.firstElementChild;
  const { width, height } = svg.viewBox.baseVal;
  const known = past.filter(({ total }) => total !== null).map(({ total }) => Number(total));
  if (!path) return;
  if (past.length < 2 || known.length < 2) return path.setAttribute("d", "");
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const from = past[0]!.ts;
  const span = Math.max(1, now - from);
  const x = (ts: number) => (Math.min(1, Math.max(0, (ts - from) / span)) * (width - 2) + 1).toFixed(1);
  const y = (total: string) => {
    const share = high === low ? 0.5 : (Number(total) - low) / (high - low);
    return (height - 2 - share * (height - 4)).toFixed(1);
  };
  let d = "";
  let open = false;
  for (const { ts, total } of past) {
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
