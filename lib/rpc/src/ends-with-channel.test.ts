import assert from "node:assert/strict";
import { Socket } from "node:net";
import { test } from "node:test";
import { ChannelCredentials } from "@grpc/grpc-js";
import { endsWithChannel } from "./ends-with-channel.js";

test("what is closed while a connection is made does not take it", async () => {
  const credentials = endsWithChannel(ChannelCredentials.createInsecure());
  const connector = credentials._createSecureConnector({ scheme: "ipv4", path: "127.0.0.1" }, {});
  await connector.waitForReady();
  const socket = new Socket();
  assert.equal((await connector.connect(socket)).socket, socket);
  connector.destroy();
  await assert.rejects(connector.connect(socket), /the channel is closed/);
  await assert.rejects(connector.waitForReady(), /the channel is closed/);
});
