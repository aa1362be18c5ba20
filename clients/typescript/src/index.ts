// The package's surface.

export { Client, connect, type Events } from "./client.js";
export type { Options, Phase, Problem, Status, TokenRequest } from "./options.js";
export * from "./protocol.js";
export * as decimal from "./decimal.js";
export { accountKey, rowKey, type Change, type RowChange } from "./store.js";
export type { Socket, SocketConstructor } from "./socket.js";
