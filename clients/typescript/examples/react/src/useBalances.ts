// A React hook over one client: components are drawn anew when rows, accounts or the connection change, and only then.

import { useEffect, useMemo, useSyncExternalStore } from "react";
import { type Account, type Balance, type Client, connect, type Options, type Status } from "@balance-gateway/client";

export interface Balances {
  readonly client: Client;
  readonly rows: readonly Balance[];
  readonly accounts: readonly Account[];
  /** False while any part is missing or unproven: do not show sums as totals then. */
  readonly complete: boolean;
  readonly status: Status;
}

/** Keep `options` the same object between draws (`useState`, `useMemo` or a constant): another one makes another connection. */
export function useBalances(options: Options): Balances {
  const source = useMemo(() => makeSource(options), [options]);
  useEffect(() => source.open(), [source]);
  const version = useSyncExternalStore(source.subscribe, source.version);
  return useMemo(() => {
    const { client } = source;
    return {
      client,
      rows: [...client.rows.values()],
      accounts: [...client.accounts.values()],
      complete: client.complete,
      status: client.status,
    };
    // The version stands for everything that is read here.
  }, [source, version]);
}

/** One client, closed when nobody has had it open for a moment: strict mode opens, closes and opens again. */
function makeSource(options: Options) {
  const client = connect(options);
  let users = 0;
  return {
    client,
    open() {
      users += 1;
      return () => {
        users -= 1;
        setTimeout(() => users === 0 && client.close());
      };
    },
    subscribe(draw: () => void) {
      const offs = [client.on("change", draw), client.on("status", draw)];
      return () => offs.forEach((off) => off());
    },
    version: () => client.version,
  };
}
