// Waits between attempts: doubling, bounded, spread so that clients which lost one gateway do not return in one moment.

export class Backoff {
  #attempt = 0;

  constructor(
    readonly firstMs: number,
    readonly longestMs: number,
    private readonly random: () => number = Math.random,
  ) {}

  /** Attempts since the last reset. */
  get attempt(): number {
    return this.#attempt;
  }

  /** The next wait in ms: between half and all of a bound that doubles. */
  next(): number {
    const bound = Math.min(this.longestMs, this.firstMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt += 1;
    return Math.round(bound * (0.5 + this.random() / 2));
  }

  reset(): void {
    this.#attempt = 0;
  }
}
