// Exact arithmetic on amounts: sums, differences and order of decimal texts, by BigInt. No rounding, no floating point.

import type { Amount } from "./protocol.js";

interface Scaled {
  readonly units: bigint;
  readonly scale: number;
}

/** Digits a text may have: more than any venue's, few enough that a hostile text cannot stall a page. */
const MAX_CHARS = 4096;
const PLAIN = /^-?\d+(?:\.\d+)?$/;

function read(amount: Amount): Scaled {
  if (amount.length > MAX_CHARS || !PLAIN.test(amount)) throw new RangeError("not a decimal in plain notation");
  const point = amount.indexOf(".");
  if (point < 0) return { units: BigInt(amount), scale: 0 };
  return { units: BigInt(amount.slice(0, point) + amount.slice(point + 1)), scale: amount.length - point - 1 };
}

function write({ units, scale }: Scaled): Amount {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const sign = units < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function align(a: Scaled, b: Scaled): [bigint, bigint, number] {
  const scale = Math.max(a.scale, b.scale);
  const raise = (n: Scaled) => (n.scale === scale ? n.units : n.units * 10n ** BigInt(scale - n.scale));
  return [raise(a), raise(b), scale];
}

/** `a + b`, with as many decimals as the longer of both. */
export function add(a: Amount, b: Amount): Amount {
  const [x, y, scale] = align(read(a), read(b));
  return write({ units: x + y, scale });
}

/** `a - b`, with as many decimals as the longer of both. */
export function subtract(a: Amount, b: Amount): Amount {
  const [x, y, scale] = align(read(a), read(b));
  return write({ units: x - y, scale });
}

/** The sum; `"0"` for none. */
export function sum(amounts: Iterable<Amount>): Amount {
  let total: Scaled = { units: 0n, scale: 0 };
  for (const amount of amounts) {
    const [x, y, scale] = align(total, read(amount));
    total = { units: x + y, scale };
  }
  return write(total);
}

/** Below zero, zero, above zero: `a` is less than, equal to, greater than `b`. `1.0` equals `1`. */
export function compare(a: Amount, b: Amount): -1 | 0 | 1 {
  const [x, y] = align(read(a), read(b));
  return x < y ? -1 : x > y ? 1 : 0;
}

/** `0`, `-0`, `0.000`. */
export function isZero(amount: Amount): boolean {
  return /^-?0+(?:\.0+)?$/.test(amount);
}

/** The amount without its sign. */
export function abs(amount: Amount): Amount {
  return amount.startsWith("-") ? amount.slice(1) : amount;
}

/** `amount × 10^places`, exactly: `shift("0.0005", 2)` is `"0.05"`. */
export function shift(amount: Amount, places: number): Amount {
  const { units, scale } = read(amount);
  const moved = scale - places;
  return moved >= 0 ? write({ units, scale: moved }) : write({ units: units * 10n ** BigInt(-moved), scale: 0 });
}
