"""Runs a client example against a real gateway and simulated venues, and holds what it prints against the gateway.

usage: check.py GATEWAY_PROGRAM NAME COMMAND...
   as: check.py target/debug/balance-gateway javascript node examples/balances.mjs

The example goes through a proxy of ours, so that its connection can be cut: it must come back with `resumed`. The gateway is
restarted: it must come back from the start. With the market halted, the last line it printed for each row must be the row that
REST gives. A token the gateway refuses must end it. Needs nothing beside Python's own library.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True  # nothing is left beside the sources
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts/lib"))
from free_ports import free_ports  # noqa: E402

PATIENCE = 180
SECRET = "0123456789abcdef0123456789abcdef"


class Process:
    """A program with its output, line by line."""

    all = []

    async def start(self, *command, **env):
        self.lines, self.changed = [], asyncio.Event()
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            *command, stdout=pipe, stderr=pipe, env={**os.environ, **env}, limit=2**20
        )
        Process.all.append(self.process)
        self.readers = [asyncio.create_task(self.read(s)) for s in (self.process.stdout, self.process.stderr)]
        return self

    async def read(self, stream):
        while line := await stream.readline():
            self.lines.append(line.decode().rstrip("\n"))
            self.changed.set()

    async def until(self, what, holds):
        """Waits until `holds(lines)` gives something, and returns that."""
        async def wait():
            while not (found := holds(self.lines)):
                self.changed.clear()
                await self.changed.wait()
            return found
        try:
            return await asyncio.wait_for(wait(), PATIENCE)
        except asyncio.TimeoutError:
            raise SystemExit(f"no {what} came in time; printed:\n" + "\n".join(self.lines[-30:]))

    async def stop(self):
        if self.process.returncode is None:
            self.process.terminate()
        await asyncio.wait_for(self.process.wait(), PATIENCE)


class Proxy:
    """Passes bytes on to the gateway until told to cut."""

    async def start(self, port):
        self.port, self.writers = port, []
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return writer.close()
        self.writers += [writer, upstream[1]]
        await asyncio.gather(self.copy(reader, upstream[1]), self.copy(upstream[0], writer))

    async def copy(self, reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def cut(self):
        for writer in self.writers:
            writer.transport.abort()
        self.writers = []


def http(url, token=None, body=None):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=PATIENCE) as answer:
        return json.load(answer)


async def gateway(program, config, port):
    env = {"BALANCE_GATEWAY__SERVER__LISTEN": f"127.0.0.1:{port}"}
    process = await Process().start(program, "--log-format", "json", "serve", "--config", config, **env)
    await process.until("gateway", lambda lines: any(f'"listen":"127.0.0.1:{port}"' in line for line in lines))
    return process


def printed(lines):
    """The last line of each row."""
    rows = {}
    for words in (line.split() for line in lines):
        if len(words) == 8 and words[0] in ("p99", "bitfinex", "synthesis", "moonbase"):
            rows[tuple(words[:4])] = words[4:]
    return rows


def held(base, token):
    names, numbers = ("venue", "account", "wallet", "asset"), ("total", "available", "locked")
    rows = http(f"{base}/v1/balances", token)["balances"]
    return {tuple(r[n] for n in names): [r[n] or "-" for n in numbers] + [r["state"]] for r in rows}


async def equal(client, base, token):
    """Waits until every row is live and was last printed as REST gives it. Returns how many there are."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        rows, shown = held(base, token), printed(client.lines)
        if rows and all(row[3] == "live" and shown.get(key) == row for key, row in rows.items()):
            return len(rows)
        if asyncio.get_running_loop().time() > deadline:
            differ = {key: (row, shown.get(key)) for key, row in rows.items() if shown.get(key) != row or row[3] != "live"}
            raise SystemExit(f"these rows differ (REST, example): {differ}")
        client.changed.clear()
        try:
            await asyncio.wait_for(client.changed.wait(), 0.2)
        except asyncio.TimeoutError:
            pass


async def check(program, name, command):
    venues = await Process().start(program, "simulate", "--rate", "5")
    await venues.until("simulators", lambda lines: any("Ctrl-C" in line for line in lines))
    accounts = "\n".join(venues.lines)
    controls = re.search(r"Controls: (http://\S+?)/ ", accounts)[1]
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "gateway.toml")
        with open(os.open(config, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(f'[server]\nadmin_listen = "127.0.0.1:0"\n[[access.keys]]\nalgorithm = "HS256"\nsecret = "{SECRET}"\n')
            file.write(accounts)
        signed = await Process().start(program, "token", "--sub", "alice", "--config", config)
        await asyncio.gather(signed.process.wait(), *signed.readers)
        token = next(line for line in signed.lines if line.count(".") == 2)
        # The gateway comes back to it: of those that the system gives to nobody meanwhile.
        [port] = free_ports(1)
        server = await gateway(program, config, port)
        proxy = Proxy()
        url = f"ws://127.0.0.1:{await proxy.start(port)}/v1/ws"
        client = await Process().start(*command, GATEWAY_URL=url, GATEWAY_TOKEN=token)

        base, market = f"http://127.0.0.1:{port}", f"{controls}/market"
        await client.until("row of every venue", lambda lines: len({key[0] for key in printed(lines)}) == 4)
        proxy.cut()
        await client.until("resumption", lambda lines: "resumed" in lines)
        http(market, body={"rate_hz": 0})
        await equal(client, base, token)
        http(market, body={"rate_hz": 5})
        await server.stop()
        server = await gateway(program, config, port)
        await client.until("second start", lambda lines: lines.count("from the start") >= 2)
        http(market, body={"rate_hz": 0})
        rows = await equal(client, base, token)
        await client.stop()

        refused = await Process().start(*command, GATEWAY_URL=url, GATEWAY_TOKEN=token[:-8] + "AAAAAAAA")
        code = await asyncio.wait_for(refused.process.wait(), PATIENCE)
        if code != 1:
            raise SystemExit(f"a refused token ends the example with {code}, not 1")
        await server.stop()
        await venues.stop()
    print(f"{name}: {rows} rows equal, through a cut and a restart")


async def main():
    try:
        await check(sys.argv[1], sys.argv[2], sys.argv[3:])
    finally:
        for process in Process.all:
            if process.returncode is None:
                process.kill()


asyncio.run(main())
