// The page: one client, one table, and when what is painted anew. Everything comes from the public protocol.

import { type Balance, type Change, type Client, connect, rowKey, type Status as LinkStatus } from "@balance-gateway/client";
import { Details } from "./details.js";
import { byId, el, setAttribute, setText } from "./dom.js";
import { Entries } from "./entries.js";
import { Grid } from "./grid.js";
import { build, type Model, type Query, type Show, type SortColumn, type View } from "./model.js";
import { measureDigit } from "./number.js";
import { Status } from "./status.js";
import { startTheme } from "./theme.js";
import { Token } from "./token.js";
import { age, count } from "./words.js";

/** Between two sortings while rows stream in. What the person does is answered at once. */
const ARRANGE_EVERY_MS = 250;

const token = new Token();
const socketUrl = new URL("v1/ws", location.href);
socketUrl.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const client: Client = connect({ url: socketUrl.href, getToken: () => token.give(), maxRateHz: 20 });
token.attach(client);

const entries = new Entries();
const query: Query = {
  view: "account", find: "", venue: "", account: "", show: "all", sort: { column: "name", ascending: true }, turned: new Set(),
};
const details = new Details(client);
const status = new Status(client, () => token.give());
const grid = new Grid(client, {
  sort(column: SortColumn) {
    const { sort } = query;
    // Numbers are looked at from the largest down, ages from the newest.
    const first = column === "name" || column === "place" || column === "state";
    query.sort = { column, ascending: sort.column === column ? !sort.ascending : first };
    arrange();
  },
  fold(key) {
    if (!query.turned.delete(key)) query.turned.add(key);
    arrange();
  },
  open: (item) => item.kind === "row" && details.open(item.entry),
});

// ── arranging and painting ──────────────────────────────────────────────────────────────────────────────────────────────

let model: Model | undefined;
let arrangedAt = 0;
let arrangeTimer: number | undefined;
let frame = 0;

/** Filters, sorts, groups and adds up anew, now. */
function arrange(): void {
  clearTimeout(arrangeTimer);
  arrangeTimer = undefined;
  arrangedAt = performance.now();
  if (query.view !== "status") {
    model = build(client, entries.all.values(), query);
    grid.show(model, query);
  }
  paintFrame();
}

function arrangeSoon(): void {
  const wait = Math.max(0, ARRANGE_EVERY_MS - (performance.now() - arrangedAt));
  arrangeTimer ??= window.setTimeout(arrange, wait);
}

function paintSoon(): void {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    paintFrame();
  });
}

function paintFrame(): void {
  if (query.view === "status") status.paint(query);
  else grid.paint();
  details.paint();
  paintTop();
}

client.on("change", (change: Change<Balance>) => {
  const moved = entries.take(change.rows, change.removed.map(rowKey), Date.now());
  const others = change.accounts.length > 0 && fillChoices();
  const fixed = query.sort.column === "name" || query.sort.column === "place";
  if (model === undefined) arrange();
  else if (moved || others || query.view === "asset" || query.show !== "all" || !fixed || outgrown(change)) arrangeSoon();
  paintSoon();
});

/** A number that is wider than its column has room for. */
function outgrown({ rows }: Change<Balance>): boolean {
  const widths = model?.widths;
  return widths === undefined || rows.some(({ row }) => (["total", "available", "locked"] as const).some((name) => {
    const [whole = "", fraction = ""] = (row[name] ?? "").split(".");
    return whole.length > widths[name][0] || fraction.length > widths[name][1] || whole.length + fraction.length > widths[name][2];
  }));
}

// ── the top of the page ─────────────────────────────────────────────────────────────────────────────────────────────────

function linkText({ phase, problem, retryAt, since }: LinkStatus): string {
  const now = Date.now();
  const why = problem ? `: ${problem.message}` : "";
  switch (phase) {
    case "live": return "Live";
    case "connecting": return "Connecting";
    case "resuming": return "Resuming";
    case "silent": return `Not heard for ${age(Math.max(1000, now - since))}`;
    case "waiting": return `Not connected; next try in ${Math.max(1, Math.ceil(((retryAt ?? now) - now) / 1000))} s`;
    case "paused": return "Paused while hidden";
    case "token": return "Needs a token";
    case "closed": return `Stopped${why}`;
  }
}

function paintTop(): void {
  const { status: link } = client;
  const now = Date.now();
  const place = byId("link");
  place.dataset.phase = link.phase;
  setText(place, linkText(link));
  setAttribute(place, "title", link.problem ? `${link.problem.code}: ${link.problem.message}` : undefined);
  setText(byId("who"), link.user ?? "");
  const whole = byId("whole");
  const accounts = [...client.accounts.values()];
  whole.hidden = accounts.length === 0;
  whole.dataset.complete = String(client.complete);
  const unproven = accounts.filter((account) => !["live", "degraded"].includes(client.accountStateOf(account))).length;
  setText(whole, client.complete
    ? `Complete: ${count(accounts.length, "account")}`
    : unproven > 0 ? `Incomplete: ${unproven} of ${count(accounts.length, "account")} not live` : "Incomplete: rows were left out");
  const notice = byId("notice");
  const expiring = link.expiring === true && link.expiresAt !== undefined && link.expiresAt > now && link.phase === "live";
  notice.hidden = !expiring;
  if (expiring) setText(notice, "The token ends within a minute. Enter a new one and nothing is interrupted.");
  paintEmpty();
}

function paintEmpty(): void {
  const empty = byId("empty");
  const text = query.view === "status"
    ? client.accounts.size > 0 ? "" : "No account is visible."
    : (model?.items.length ?? 0) > 0 ? ""
    : client.since === undefined ? ""
    : entries.all.size > 0 || client.accounts.size > 0 ? "Nothing matches." : "This token has a right to no account.";
  empty.hidden = text === "";
  setText(empty, text);
  setText(byId("count"), query.view === "status" || !model ? "" : model.shown === entries.all.size
    ? count(model.shown, "row") : `${model.shown} of ${count(entries.all.size, "row")}`);
}

client.on("status", (link) => {
  if (link.phase === "token") token.ask(link.problem && link.problem.code !== "TOKEN" ? `${link.problem.message}.` : "");
  // Totals are whole only while the gateway is heard.
  arrangeSoon();
  paintSoon();
});

// Ages are told by the second.
setInterval(() => document.visibilityState === "visible" && paintSoon(), 1000);

// ── choices ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** True where there are others than before. */
function fillChoices(): boolean {
  const accounts = [...client.accounts.values()];
  const venues = fill(byId<HTMLSelectElement>("venue"), [...new Set(accounts.map(({ venue }) => venue))]);
  return fill(byId<HTMLSelectElement>("account"), accounts.map(({ account }) => account)) || venues;
}

/** Keeps the first option, which chooses nothing, and what was chosen. */
function fill(select: HTMLSelectElement, values: string[]): boolean {
  const wanted = values.sort();
  const present = [...select.options].slice(1).map(({ value }) => value);
  if (JSON.stringify(wanted) === JSON.stringify(present)) return false;
  const chosen = select.value;
  select.replaceChildren(select.options[0]!, ...wanted.map((value) => el("option", { value }, value)));
  select.value = wanted.includes(chosen) ? chosen : "";
  if (select.value !== chosen) select.dispatchEvent(new Event("change"));
  return true;
}

function choose<K extends "venue" | "account" | "show">(id: K): void {
  const select = byId<HTMLSelectElement>(id);
  select.addEventListener("change", () => {
    query[id] = select.value as Query[K];
    arrange();
  });
}
choose("venue");
choose("account");
choose("show");
byId<HTMLSelectElement>("show").value = "all" satisfies Show;

byId<HTMLInputElement>("find").addEventListener("input", (event) => {
  query.find = (event.target as HTMLInputElement).value;
  arrange();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
  if (event.key !== "/" || typing || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  byId("find").focus();
});

for (const button of document.querySelectorAll<HTMLButtonElement>(".views button")) {
  button.addEventListener("click", () => {
    const view = button.dataset.view as View;
    for (const other of document.querySelectorAll(".views button")) setAttribute(other, "aria-pressed", String(other === button));
    byId("grid").hidden = view === "status";
    byId("status").hidden = view !== "status";
    query.view = view;
    arrange();
  });
}

startTheme();
measureDigit();
void document.fonts.ready.then(measureDigit);
paintTop();
