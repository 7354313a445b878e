import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { describe, it } from "node:test";
import { callersOf, connectionsTo } from "./connections.js";

describe("callersOf()", () => {
  it("finds the callers' ends that are established", () => {
    const lines = [
      "  sl  local_address rem_address   st tx_queue rx_queue",
      "   0: 0100007F:1D10 00000000:0000 0A 00000000:00000000",
      "   1: 0100007F:9C40 0100007F:1D10 01 00000000:00000000",
      "   2: 0100007F:1D10 0100007F:9C40 01 00000000:00000000",
      "   3: 0100007F:9C41 0100007F:1D10 06 00000000:00000000",
      "   4: 0000000000000000FFFF00000100007F:9C42 0000000000000000FFFF00000100007F:1D10 01",
    ];
    assert.deepEqual(callersOf(lines.join("\n"), 0x1d10), [
      "0100007F:9C40",
      "0000000000000000FFFF00000100007F:9C42",
    ]);
  });
});

describe("connectionsTo()", () => {
  it("sees what is connected here, once each", async (t) => {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const sockets = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    assert.equal(new Set(connectionsTo(port)).size, 2);
  });
});
