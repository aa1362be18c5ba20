// WebSocket for Node: the platform's where there is one (from Node 22), else a small one on `node:http`. It speaks what the
// gateway speaks: text frames, no extensions.

import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";
import type { Socket, SocketConstructor } from "./socket.js";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
/** Largest message taken: the gateway sends parts of 64 KiB and updates of 256 KiB; a single row may be larger. */
const MAX_MESSAGE_BYTES = 16 << 20;
/** Time for the other side to answer a close frame. */
const CLOSE_WAIT_MS = 2_000;

class NodeSocket implements Socket {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  #stream: Duplex | undefined;
  #input: Buffer = Buffer.alloc(0);
  #fragments: Buffer[] = [];
  #fragmentBytes = 0;
  #ended = false;
  #closing = false;
  readonly #request: ReturnType<typeof httpRequest>;

  constructor(url: string, protocols: string[]) {
    const target = new URL(url);
    const secure = target.protocol === "wss:";
    if (!secure && target.protocol !== "ws:") throw new SyntaxError("the URL wants ws:// or wss://");
    const key = randomBytes(16).toString("base64");
    target.protocol = secure ? "https:" : "http:";
    const headers: Record<string, string> = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": key,
    };
    if (protocols.length > 0) headers["sec-websocket-protocol"] = protocols.join(", ");
    this.#request = (secure ? httpsRequest : httpRequest)(target, { headers });
    this.#request.on("upgrade", (response, stream, head) => {
      const wanted = createHash("sha1").update(key + GUID).digest("base64");
      if (response.headers["sec-websocket-accept"] !== wanted) {
        stream.destroy();
        return this.#end(1006, "the server's handshake is not WebSocket's");
      }
      this.#opened(stream, head);
    });
    this.#request.on("response", (response) => {
      response.resume();
      this.#end(1006, `the server answered ${response.statusCode}`);
    });
    this.#request.on("error", (error) => this.#end(1006, error.message));
    this.#request.end();
  }

  send(text: string): void {
    this.#write(OPCODE.text, Buffer.from(text));
  }

  close(code = 1000, reason = ""): void {
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    if (!this.#stream) {
      this.#request.destroy();
      return this.#end(1006, "closed before it was open");
    }
    this.#write(OPCODE.close, closeBody(code, reason));
    setTimeout(() => this.#end(code, reason), CLOSE_WAIT_MS).unref();
  }

  #opened(stream: Duplex, head: Buffer): void {
    if (this.#ended) return void stream.destroy();
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => this.#receive(bytes));
    stream.on("error", (error) => this.#end(1006, error.message));
    stream.on("close", () => this.#end(1006, "the connection ended"));
    if ("setNoDelay" in stream && typeof stream.setNoDelay === "function") stream.setNoDelay(true);
    call(this.onopen, { type: "open" });
    if (head.length > 0) this.#receive(head);
  }

  #receive(bytes: Buffer): void {
    this.#input = this.#input.length === 0 ? bytes : Buffer.concat([this.#input, bytes]);
    while (!this.#ended) {
      const frame = readFrame(this.#input);
      if (frame === "short") return;
      if (frame === "bad") return this.#fail(1002, "the server broke the WebSocket protocol");
      this.#input = this.#input.subarray(frame.bytes);
      this.#frame(frame);
    }
  }

  #frame({ opcode, final, body }: FrameIn): void {
    if (opcode === OPCODE.ping) return this.#write(OPCODE.pong, body);
    if (opcode === OPCODE.pong) return;
    if (opcode === OPCODE.close) {
      const code = body.length >= 2 ? body.readUInt16BE(0) : 1005;
      if (!this.#closing) this.#write(OPCODE.close, body.subarray(0, 2));
      return this.#end(code, body.subarray(2).toString());
    }
    const begins = opcode === OPCODE.text;
    if (begins !== (this.#fragments.length === 0) || (!begins && opcode !== OPCODE.continuation)) {
      return this.#fail(1003, "only text is spoken here");
    }
    this.#fragments.push(body);
    this.#fragmentBytes += body.length;
    if (this.#fragmentBytes > MAX_MESSAGE_BYTES) return this.#fail(1009, "a message is too large");
    if (!final) return;
    const data = Buffer.concat(this.#fragments).toString();
    this.#fragments = [];
    this.#fragmentBytes = 0;
    call(this.onmessage, { type: "message", data });
  }

  /** Writes one frame, masked as clients must. */
  #write(opcode: number, body: Buffer): void {
    if (!this.#stream || this.#ended) return;
    const mask = randomBytes(4);
    const size = body.length < 126 ? 0 : body.length < 65_536 ? 2 : 8;
    const head = Buffer.alloc(2 + size);
    head[0] = 0x80 | opcode;
    head[1] = 0x80 | (size === 0 ? body.length : size === 2 ? 126 : 127);
    if (size === 2) head.writeUInt16BE(body.length, 2);
    if (size === 8) head.writeBigUInt64BE(BigInt(body.length), 2);
    const masked = Buffer.from(body);
    for (let i = 0; i < masked.length; i += 1) masked[i] = masked[i]! ^ mask[i & 3]!;
    this.#stream.write(Buffer.concat([head, mask, masked]));
  }

  #fail(code: number, reason: string): void {
    this.#write(OPCODE.close, closeBody(code, reason));
    this.#end(1006, reason);
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#fragments = [];
    this.#stream?.end();
    this.#stream?.destroy();
    this.#request.destroy();
    // As in browsers: the handlers run after whoever caused the end has returned.
    queueMicrotask(() => call(this.onclose, { type: "close", code, reason }));
  }
}

interface FrameIn {
  readonly opcode: number;
  readonly final: boolean;
  readonly body: Buffer;
  /** Length of the whole frame. */
  readonly bytes: number;
}

function readFrame(input: Buffer): FrameIn | "short" | "bad" {
  if (input.length < 2) return "short";
  const [first, second] = [input[0]!, input[1]!];
  const opcode = first & 0x0f;
  const final = (first & 0x80) !== 0;
  // Reserved bits belong to extensions, and none was asked for; a server's frames are not masked.
  if ((first & 0x70) !== 0 || (second & 0x80) !== 0 || (opcode >= 8 && (!final || second > 125))) return "bad";
  const size = second < 126 ? 0 : second === 126 ? 2 : 8;
  if (input.length < 2 + size) return "short";
  const length = size === 0 ? second : size === 2 ? input.readUInt16BE(2) : Number(input.readBigUInt64BE(2));
  if (length > MAX_MESSAGE_BYTES) return "bad";
  const bytes = 2 + size + length;
  if (input.length < bytes) return "short";
  return { opcode, final, body: input.subarray(2 + size, bytes), bytes };
}

function closeBody(code: number, reason: string): Buffer {
  const body = Buffer.alloc(2 + Buffer.byteLength(reason));
  body.writeUInt16BE(code, 0);
  body.write(reason, 2);
  return body.subarray(0, 125);
}

function call(handler: ((event: never) => void) | null, event: unknown): void {
  handler?.(event as never);
}

export const PlatformSocket: SocketConstructor | undefined =
  (globalThis.WebSocket as SocketConstructor | undefined) ?? NodeSocket;
