// Where the platform has a WebSocket, it is used.

import type { SocketConstructor } from "./socket.js";

export const PlatformSocket: SocketConstructor | undefined = globalThis.WebSocket as SocketConstructor | undefined;
