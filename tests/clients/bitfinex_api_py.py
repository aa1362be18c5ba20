#!/usr/bin/env python3
"""Does the venue's own client, unmodified, agree with the Bitfinex simulator?

usage: bitfinex_api_py.py WS_URL REST_URL CONTROL_URL [--account A] [--key K] [--secret S]
   as: bitfinex_api_py.py ws://127.0.0.1:19002/ws/2 http://127.0.0.1:19002 http://127.0.0.1:19002/control
needs: pip install bitfinex-api-py==4.0.0

It logs in, compares the wallet snapshot and REST with the simulator's book, moves money through the control address and waits for
the wallet updates. Exit 0: all agree. Exit 1: says what does not. Digits are not its matter: the client reads floats.
The key must not be in use by another program whose nonces run ahead (this client's are microseconds).
"""

import argparse
import asyncio
import json
import sys
import urllib.request

from bfxapi import Client

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


def row(wallets, wallet, currency):
    return next((w for w in wallets if (w.wallet_type, w.currency) == (wallet, currency)), None)


async def updates(queue, count):
    return [await asyncio.wait_for(queue.get(), TIMEOUT) for _ in range(count)]


async def conversation(args, bfx):
    snapshots, changes, logins = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
    bfx.wss.on("authenticated", lambda event: logins.put_nowait(event))
    bfx.wss.on("wallet_snapshot", lambda wallets: snapshots.put_nowait(wallets))
    bfx.wss.on("wallet_update", lambda wallet: changes.put_nowait(wallet))
    stream = asyncio.create_task(bfx.wss.start())
    try:
        await converse(args, bfx, stream, snapshots, changes, logins)
    finally:
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)


async def first(queue, stream):
    """The queue's next item, or the stream's error if that ends first."""
    item = asyncio.create_task(queue.get())
    done, _ = await asyncio.wait({item, stream}, timeout=TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
    if item in done:
        return item.result()
    item.cancel()
    if stream in done:
        raise AssertionError(f"the client ended: {stream.exception()!r}")
    raise AssertionError("the client said nothing in time")


async def converse(args, bfx, stream, snapshots, changes, logins):
    login = await first(logins, stream)
    check(login["status"] == "OK" and login["chanId"] == 0, "authenticated on channel 0")
    check(login["caps"]["wallets"]["read"] == 1, "caps is an object with wallets.read")

    wallets = await first(snapshots, stream)
    rest = await asyncio.to_thread(bfx.rest.auth.get_wallets)
    names = lambda rows: sorted((w.wallet_type, w.currency, w.balance) for w in rows)
    check(len(wallets) > 0 and names(wallets) == names(rest), "REST lists the same wallets as the snapshot")

    move = lambda **fields: asyncio.to_thread(control, f"{args.control_url}/move", {"account": args.account, "wallet": "exchange", **fields})
    usd = row(wallets, "exchange", "USD")
    btc = row(wallets, "exchange", "BTC")
    check(usd is not None and btc is not None, "the sample holds USD and BTC in the exchange wallet")

    await move(move="deposit", asset="BTC", amount="0.5")
    (deposit,) = await updates(changes, 1)
    check((deposit.wallet_type, deposit.currency) == ("exchange", "BTC"), "a deposit is a wallet update")
    check(abs(deposit.balance - btc.balance - 0.5) < 1e-9, "the update holds the new balance")
    check("Deposit" in (deposit.last_change or ""), "the update says why")

    await move(move="place", order="34988418651", spend="USD", amount="78.046")
    (placed,) = await updates(changes, 1)
    check(placed.balance == usd.balance, "an order changes no balance")
    check(placed.available_balance is None or placed.available_balance < usd.balance, "an order ties up what it spends")

    fill = dict(order="34988418651", spend="USD", spent="78.046", gain="BTC", gained="0.01", fee="0.00002", price="7804.6", done=True)
    await move(move="fill", **fill)
    gross, spent, net = await updates(changes, 3)
    check(gross.currency == "BTC" and gross.trade_details["reason"] == "TRADE", "a fill tells the amount gained, with META")
    check(spent.currency == "USD" and abs(spent.balance - usd.balance + 78.046) < 1e-6, "and the amount spent")
    check(net.currency == "BTC" and abs(gross.balance - net.balance - 0.00002) < 1e-9, "and then the fee")

    await bfx.wss.inputs.calc("wallet_exchange_USD")
    (answer,) = await updates(changes, 1)
    check(answer.currency == "USD" and answer.available_balance is not None, "calc is answered by a wallet update")

    rest = await asyncio.to_thread(bfx.rest.auth.get_wallets)
    check(row(rest, "exchange", "BTC").balance == net.balance, "REST agrees after the moves")
    await asyncio.to_thread(control, f"{args.control_url}/book/{args.account}")
    print("ok: the control address tells the book", flush=True)


def main():
    args = arguments()
    bfx = Client(api_key=args.key, api_secret=args.secret, wss_host=args.ws_url, rest_host=f"{args.rest_url}/v2")
    try:
        asyncio.run(conversation(args, bfx))
    except Exception as error:  # whatever it is, say it in one line and fail
        print(f"FAIL: {type(error).__name__}: {error}", flush=True)
        return 1
    print("PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
