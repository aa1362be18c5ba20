#!/usr/bin/env python3
"""Does ccxt, unmodified, follow balances on the Bitfinex simulator?

usage: ccxt_watch_balance.py WS_URL REST_URL CONTROL_URL [--account A] [--key K] [--secret S]
   as: ccxt_watch_balance.py ws://127.0.0.1:19002/ws/2 http://127.0.0.1:19002 http://127.0.0.1:19002/control
needs: pip install ccxt==4.5.90

Exit 0: the client and the simulator agree. Exit 1: says where they do not. Digits are not its matter: ccxt reads floats. It calls UST
"USDT", and coalesces what comes between two calls. Its nonces are milliseconds: the key must not have been used by a program
whose nonces are microseconds (the gateway, bitfinex-api-py) since the simulator started.
"""

import argparse
import asyncio
import json
import sys
import urllib.request

import ccxt.pro

TIMEOUT = 120


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ws_url")
    parser.add_argument("rest_url")
    parser.add_argument("control_url")
    parser.add_argument("--account", default="bfx-main")
    parser.add_argument("--key", default="bfx-sample-key")
    parser.add_argument("--secret", default="bfx-sample-secret")
    return parser.parse_args()


def control(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
        text = reply.read()
    return json.loads(text) if text else None


def check(holds, what):
    if not holds:
        raise AssertionError(what)
    print("ok:", what, flush=True)


def near(left, right):
    return left is not None and right is not None and abs(left - right) < 1e-9 * max(1, abs(right))


def client(args, secret):
    exchange = ccxt.pro.bitfinex({"apiKey": args.key, "secret": secret, "newUpdates": True})
    exchange.urls["api"]["ws"] = {"public": args.ws_url, "private": args.ws_url}
    exchange.urls["api"]["private"] = args.rest_url
    exchange.set_markets([])  # or it would ask the public REST host for all markets
    return exchange


async def until(exchange, settled, what):
    """Watches until `settled` holds of a balance: updates in between may be coalesced."""
    deadline = asyncio.get_running_loop().time() + TIMEOUT
    while True:
        left = deadline - asyncio.get_running_loop().time()
        balance = await asyncio.wait_for(exchange.watch_balance(), max(left, 0.01))
        if settled(balance):
            print("ok:", what, flush=True)
            return balance


async def conversation(args):
    move = lambda **fields: asyncio.to_thread(control, f"{args.control_url}/move", {"account": args.account, "wallet": "exchange", **fields})

    async def nudged(pending):
        # ccxt tells a burst by its first message, and what comes while nobody waits by the next one: nudge it with a wallet nobody looks at.
        while not (await asyncio.wait({pending}, timeout=1))[0]:
            await move(move="deposit", asset="SAN", amount="1")
        return await pending

    impostor = client(args, args.secret + "x")
    try:
        await asyncio.wait_for(impostor.watch_balance(), TIMEOUT)
        check(False, "a wrong secret is refused")
    except ccxt.AuthenticationError:
        check(True, "a wrong secret is refused")
    finally:
        await impostor.close()

    exchange = client(args, args.secret)
    try:
        start = await asyncio.wait_for(exchange.watch_balance(), TIMEOUT)
        # ccxt hands out its own object and goes on changing it: keep numbers, not the balance.
        btc, usd, used = start["BTC"]["total"], start["USD"]["total"], start["USD"]["used"]
        check(btc is not None and usd is not None, "the snapshot holds the exchange wallet")
        check("USDT" in start and start["USDT"]["total"] is not None, "UST is listed")

        pending = asyncio.create_task(until(exchange, lambda b: near(b["BTC"]["total"], btc + 0.5), "a deposit arrives"))
        await asyncio.sleep(0)
        await move(move="deposit", asset="BTC", amount="0.5")
        await nudged(pending)

        pending = asyncio.create_task(until(exchange, lambda b: near(b["USD"]["used"], used + 78.046), "an order ties up what it spends"))
        await asyncio.sleep(0)
        await move(move="place", order="34988418651", spend="USD", amount="78.046")
        await nudged(pending)

        done = lambda b: near(b["BTC"]["total"], btc + 0.5 + 0.00998) and near(b["USD"]["total"], usd - 78.046)
        pending = asyncio.create_task(until(exchange, done, "a fill moves both, less the fee"))
        await asyncio.sleep(0)
        fill = dict(order="34988418651", spend="USD", spent="78.046", gain="BTC", gained="0.01", fee="0.00002", price="7804.6", done=True)
        await move(move="fill", **fill)
        final = await nudged(pending)

        rest = await exchange.fetch_balance()
        check(near(rest["BTC"]["total"], final["BTC"]["total"]), "REST agrees with the stream")
        check(near(rest["USD"]["total"], final["USD"]["total"]), "REST agrees in every currency")
    finally:
        await exchange.close()


def main():
    try:
        asyncio.run(conversation(arguments()))
    except Exception as error:  # whatever it is, say it in one line and fail
        print(f"FAIL: {type(error).__name__}: {error}", flush=True)
        return 1
    print("PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
