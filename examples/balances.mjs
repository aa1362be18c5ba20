// Follows balances over the WebSocket: whole rows, gap-free, resuming after a drop.
// Browsers, and Node 22 or later: GATEWAY_TOKEN=… node balances.mjs
const url = process.env.GATEWAY_URL ?? "ws://127.0.0.1:8080/v1/ws";
const token = process.env.GATEWAY_TOKEN;
const channel = "user:balances";

const rows = new Map(); // the state: key → row
let since; // our place in the history: {epoch, gsn}
let parts = []; // of a snapshot under way
let wait = 250; // milliseconds before the next attempt

function put(row) {
  const { venue, account, wallet, asset, total, available, locked, state } = row;
  rows.set(JSON.stringify([venue, account, wallet, asset]), row);
  // null is "the venue has not said", which is not zero.
  console.log(venue, account, wallet, asset, total ?? "-", available ?? "-", locked ?? "-", state);
}

function connect() {
  const socket = new WebSocket(url, "balances.v1");
  const send = (request) => socket.send(JSON.stringify(request));
  let bound = 10_000; // milliseconds of silence that mean death
  let watchdog = setTimeout(() => socket.close(), bound);

  socket.onopen = () => {
    send({ type: "auth_token", token });
    send({ type: "subscribe", channel, since });
  };

  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    switch (frame.type) {
      case "auth_result":
        if (!frame.success) console.error("refused:", frame.error.message);
        else bound = 2 * frame.heartbeat_ms;
        break;
      case "subscribed":
        console.error(frame.resumed ? "resumed" : "from the start");
        wait = 250;
        break;
      case "snapshot":
        parts = (frame.part ?? 1) === 1 ? [frame] : [...parts, frame];
        if (parts.length < (frame.parts ?? 1)) break;
        rows.clear();
        parts.flatMap((part) => part.balances).forEach(put);
        since = { epoch: frame.epoch, gsn: frame.gsn };
        break;
      case "update":
        if (!since) break; // a snapshot is on its way
        if (frame.prev !== since.gsn) {
          since = undefined;
          send({ type: "resync", channel });
          break;
        }
        frame.balances.forEach(put);
        since = { epoch: frame.epoch, gsn: frame.gsn };
        break;
      case "error":
        console.error(frame.code, frame.message);
    }
    clearTimeout(watchdog);
    watchdog = setTimeout(() => socket.close(), bound);
  };

  socket.onclose = ({ code, reason }) => {
    clearTimeout(watchdog);
    parts = [];
    console.error("disconnected: no row is live now", code, reason);
    if (code >= 4000 && code < 4200) process.exit(1); // 40xx: stop. 41xx: get a new token first.
    setTimeout(connect, wait * (0.5 + Math.random() / 2));
    wait = Math.min(wait * 2, 10_000);
  };
}

connect();
