// Balances in a table. Amounts are shown as the text they are; what is unknown is a dash; what is not live says so.

import { useState } from "react";
import { createRoot } from "react-dom/client";
import type { Options } from "@balance-gateway/client";
import { useBalances } from "./useBalances.js";

export function Balances({ options }: { options: Options }) {
  const { client, rows, complete, status } = useBalances(options);
  return (
    <section>
      <p>
        {status.phase} · {complete ? "complete" : "incomplete"}
      </p>
      <table>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.venue}/${row.account}/${row.wallet}/${row.asset}`} data-state={client.stateOf(row)}>
              <td>{row.account}</td>
              <td>{row.asset}</td>
              <td>{row.total ?? "—"}</td>
              <td>{client.stateOf(row)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function App({ url }: { url: string }) {
  const [options, setOptions] = useState<Options>();
  const [token, setToken] = useState("");
  if (options) return <Balances options={options} />;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        // A real application asks its own server for a token here, each time it is called.
        setOptions({ url, getToken: () => token });
      }}
    >
      <label>
        Token <input type="password" value={token} onChange={(event) => setToken(event.target.value)} />
      </label>
      <button>Connect</button>
    </form>
  );
}

const root = document.getElementById("root");
if (root) createRoot(root).render(<App url={root.dataset.url ?? "ws://127.0.0.1:8080/v1/ws"} />);
