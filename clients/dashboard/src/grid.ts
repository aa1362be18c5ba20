// The table: only the lines in sight exist, and one keyboard stop leads through all of them. What a line says is `lines.ts`'s matter.

import type { Client } from "@balance-gateway/client";
import { byId, copy, el, setAttribute } from "./dom.js";
import { AMOUNTS } from "./entries.js";
import { Fit } from "./fit.js";
import { type Cells, COLUMNS, type Column, paint } from "./lines.js";
import type { Item, Model, Query, SortColumn } from "./model.js";
import { MAX_FRACTION, MAX_WHOLE } from "./number.js";
import { makeSpark } from "./spark.js";

/** Lines made beyond the edge, so that a quick scroll meets them painted. */
const OVERSCAN = 8;
const TITLES: Record<Column, string> = {
  name: "Asset", place: "Wallet", total: "Total", available: "Available", locked: "Locked", changed: "Last change",
  history: "Since opened", state: "State",
};
const WIDE = matchMedia("(min-width: 720px)");

export interface GridHooks {
  sort(column: SortColumn): void;
  fold(key: string): void;
  open(item: Item): void;
}

export class Grid {
  readonly #root = byId("grid");
  readonly #head = el("div", { class: "head", role: "row", "aria-rowindex": "1" });
  readonly #body = el("div", { class: "body", role: "rowgroup" });
  readonly #titles = new Map<Column, HTMLElement>();
  readonly #pool: Cells[] = [];
  #model: Model = { items: [], rows: 0, shown: 0, widths: { total: [1, 0, 1], available: [1, 0, 1], locked: [1, 0, 1] } };
  readonly #fit = new Fit(this.#root, this.#head);
  #view: Query["view"] = "account";
  /** What was asked for: where that changes, columns that were folded away come back if there is room. */
  #asked = "";
  #active = 0;
  #activeColumn = 0;

  constructor(private readonly client: Client, private readonly hooks: GridHooks) {
    this.#makeHead();
    this.#root.append(el("div", { role: "rowgroup", class: "headgroup" }, this.#head), this.#body);
    this.#root.setAttribute("aria-colcount", String(COLUMNS.length));
    this.#root.addEventListener("scroll", () => this.paint(), { passive: true });
    this.#root.addEventListener("keydown", (event) => this.#key(event));
    this.#body.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.paint()).observe(this.#root);
    WIDE.addEventListener("change", () => this.paint());
  }

  show(model: Model, query: Query): void {
    const active = this.#model.items[this.#active]?.key;
    this.#model = model;
    this.#view = query.view;
    // The active line stays the active line, wherever it went.
    const at = active === undefined ? -1 : model.items.findIndex(({ key }) => key === active);
    this.#active = at >= 0 ? at : Math.min(this.#active, Math.max(0, model.items.length - 1));
    this.#root.setAttribute("aria-rowcount", String(model.items.length + 1));
    for (const name of AMOUNTS) {
      const [whole, fraction, both] = model.widths[name];
      this.#root.style.setProperty(`--${name}-whole`, String(Math.min(whole, MAX_WHOLE)));
      this.#root.style.setProperty(`--${name}-fraction`, String(Math.min(fraction, MAX_FRACTION)));
      this.#root.style.setProperty(`--${name}-both`, String(Math.min(both, MAX_WHOLE + MAX_FRACTION)));
    }
    this.#asked = [query.view, query.find, query.venue, query.account, query.show].join("\n");
    this.#showSort(query.sort);
    this.#titles.get("name")!.firstElementChild!.textContent = query.view === "asset" ? "Asset / account" : "Asset";
    this.paint();
  }

  /** Paints the lines in sight. */
  paint(): void {
    this.#fit.fit(WIDE.matches, this.#asked, this.#model.widths);
    const lineHeight = WIDE.matches ? 30 : 62;
    const { items } = this.#model;
    const { scrollTop, clientHeight } = this.#root;
    const first = Math.max(0, Math.floor(scrollTop / lineHeight) - OVERSCAN);
    const last = Math.min(items.length, Math.ceil((scrollTop + clientHeight) / lineHeight) + OVERSCAN);
    this.#body.style.height = `${items.length * lineHeight}px`;
    while (this.#pool.length < last - first) this.#pool.push(this.#makeLine(this.#pool.length));
    const now = Date.now();
    const used = new Set<Cells>();
    for (let at = first; at < last; at += 1) {
      // A line keeps its element while it is in sight: what is read aloud or flashes does not jump.
      const cells = this.#pool[at % this.#pool.length]!;
      used.add(cells);
      this.#place(cells, at, lineHeight, items[at]!, now);
    }
    for (const cells of this.#pool) if (!used.has(cells)) cells.line.hidden = true;
    setAttribute(this.#root, "aria-activedescendant", items.length > 0 ? this.#activeId() : undefined);
  }

  #place(cells: Cells, at: number, lineHeight: number, item: Item, now: number): void {
    const { line } = cells;
    line.hidden = false;
    line.style.transform = `translateY(${at * lineHeight}px)`;
    line.dataset.kind = item.kind;
    line.dataset.view = this.#view;
    line.dataset.at = String(at);
    setAttribute(line, "aria-rowindex", String(at + 2));
    setAttribute(line, "aria-level", item.kind === "group" ? "1" : "2");
    setAttribute(line, "aria-expanded", item.kind === "group" ? String(!item.folded) : undefined);
    line.classList.toggle("active", at === this.#active);
    const active = at === this.#active ? this.#columnOf(item) : undefined;
    for (const column of COLUMNS) cells[column].classList.toggle("active", column === active);
    paint(this.client, cells, item, now);
  }

  // ── making ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #makeHead(): void {
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

  #showSort({ column, ascending }: Query["sort"]): void {
    for (const [name, title] of this.#titles) {
      if (name === "history") continue;
      setAttribute(title, "aria-sort", name === column ? (ascending ? "ascending" : "descending") : "none");
    }
  }

  #makeLine(n: number): Cells {
    const line = el("div", { class: "line", role: "row" });
    const cells: Record<string, unknown> = { line, spark: makeSpark(80, 18) };
    COLUMNS.forEach((column, i) => {
      const cell = el("div", { class: `cell ${column}`, role: "gridcell", id: `cell-${n}-${i}`, "aria-colindex": String(i + 1) });
      if (column === "history") cell.append(cells.spark as Node);
      cells[column] = cell;
      line.append(cell);
    });
    this.#body.append(line);
    return cells as unknown as Cells;
  }

  // ── moving ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #activeId(): string {
    const item = this.#model.items[this.#active];
    const column = item ? COLUMNS.indexOf(this.#columnOf(item)) : 0;
    return `cell-${this.#active % Math.max(1, this.#pool.length)}-${column}`;
  }

  /** The cells that a line shows. What has no room is in the row's details; a group without numbers says in their place why it stands so. */
  #columnsOf(item: Item): Column[] {
    const folded = this.#fit.folded;
    const isOfAccount = item.kind === "group" && item.sums === undefined;
    const isDoubted = item.kind === "group" && item.stale.length + item.lacking.length > 0;
    return COLUMNS.filter((column) => {
      if (item.kind === "group" && column === "history") return false;
      if (column === "changed" && folded.has("changed")) return isOfAccount || isDoubted;
      if (column === "place" && folded.has("changed") && isDoubted) return false;
      return !(isOfAccount && AMOUNTS.some((name) => name === column)) && !folded.has(column);
    });
  }

  /** The cell of a line that is the active one: where the active column is not shown, the next that is. */
  #columnOf(item: Item): Column {
    const columns = this.#columnsOf(item);
    return columns.find((column) => COLUMNS.indexOf(column) >= this.#activeColumn) ?? columns[columns.length - 1]!;
  }

  #key(event: KeyboardEvent): void {
    if (event.target !== this.#root || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.#root.clientHeight / 30) - 2);
    const item = this.#model.items[this.#active];
    const steps: Record<string, number> = {
      ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity,
    };
    const step = steps[event.key];
    if (step !== undefined) this.#move(this.#active + step);
    else if (event.key === "ArrowRight" || event.key === "ArrowLeft") this.#sideways(event.key === "ArrowRight" ? 1 : -1, item);
    else if (event.key === "Enter" || event.key === " ") item && this.#act(item, this.#columnOf(item));
    else if (event.key === "c" || event.key === "C") item && this.#copy(item, this.#columnOf(item));
    else return;
    event.preventDefault();
  }

  #move(to: number): void {
    this.#active = Math.max(0, Math.min(this.#model.items.length - 1, to));
    const lineHeight = WIDE.matches ? 30 : 62;
    const headHeight = this.#head.offsetHeight;
    const top = this.#active * lineHeight;
    const { scrollTop, clientHeight } = this.#root;
    if (top < scrollTop) this.#root.scrollTop = top;
    else if (top + lineHeight + headHeight > scrollTop + clientHeight) this.#root.scrollTop = top + lineHeight + headHeight - clientHeight;
    this.paint();
  }

  #sideways(step: number, item: Item | undefined): void {
    if (item?.kind === "group" && this.#activeColumn === 0 && item.folded === step > 0) return this.hooks.fold(item.key);
    if (!item) return;
    const columns = this.#columnsOf(item);
    const at = Math.max(0, Math.min(columns.length - 1, columns.indexOf(this.#columnOf(item)) + step));
    this.#activeColumn = COLUMNS.indexOf(columns[at]!);
    this.paint();
    // Where the table is wider than the window, the cell is brought into sight.
    document.getElementById(this.#activeId())?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #click(event: MouseEvent): void {
    const target = event.target as Element;
    const line = target.closest<HTMLElement>(".line");
    const cell = target.closest<HTMLElement>(".cell");
    const item = this.#model.items[Number(line?.dataset.at)];
    if (!line || !cell || !item || !getSelection()?.isCollapsed) return;
    this.#active = Number(line.dataset.at);
    const column = COLUMNS.find((name) => cell.classList.contains(name)) ?? "name";
    this.#activeColumn = COLUMNS.indexOf(column);
    this.#act(item, column);
    this.paint();
  }

  #act(item: Item, column: Column): void {
    const amount = AMOUNTS.find((name) => name === column);
    // On a narrow window a touch means the row: its numbers are copied from there.
    if (amount && WIDE.matches && this.#copy(item, column)) return;
    if (item.kind === "group") this.hooks.fold(item.key);
    else this.hooks.open(item);
  }

  /** Copies what the cell stands for, exactly. False where there is nothing to copy. */
  #copy(item: Item, column: Column): boolean {
    const amount = AMOUNTS.find((name) => name === column);
    let text: string | null | undefined;
    if (item.kind === "row") text = amount ? item.entry.row[amount] : column === "place" ? item.entry.row.wallet : item.entry.row.asset;
    else text = amount ? item.sums?.[amount].amount : (item.asset ?? this.client.accounts.get(item.key)?.account);
    if (text == null) return false;
    void copy(text);
    return true;
  }
}
