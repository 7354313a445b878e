import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { AlertSourceType } from "@howdah/proto/howdah/v1/alert";
import type { JsonObject } from "../json.js";
import { checked } from "../testing/check-context.js";

async function listen(t: TestContext, onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return address.port;
}

const port = (source: JsonObject, configurations: JsonObject = {}) =>
  checked(AlertSourceType.PORT, source, configurations);

test("an open port is OK, a closed one CRITICAL, by the definition's texts or our own", async (t) => {
  const open = await listen(t, (socket) => socket.end());
  const site = { "zoo.cfg": { clientPort: `127.0.0.1:${open}` } };
  assert.match(
    await port({ uri: "{{zoo.cfg/clientPort}}" }, site),
    new RegExp(`^OK TCP OK - 0[.][0-9]{4} response on port ${open}$`),
  );
  const reporting = {
    ok: { text: "open: {1}" },
    critical: { text: "closed: {2} on {1} ({0})", value: 5 },
  };
  assert.equal(await port({ uri: `127.0.0.1:${open}`, reporting }), `OK open: ${open}`);
  assert.equal(
    await port({ uri: "127.0.0.1:1", reporting }),
    "CRITICAL closed: 1 on 127.0.0.1 (connection refused)",
  );
});

test("it took as long as it took: WARNING by the seconds, not by thousandths of them", async (t) => {
  const slow = await listen(t, (socket) => {
    socket.once("data", () => setTimeout(() => socket.end("imok"), 1_600));
  });
  const asking = (reporting: JsonObject) =>
    port({
      uri: `127.0.0.1:${slow}`,
      parameters: [{ name: "socket.command", value: "ruok" }],
      reporting,
    });
  const [warned, mistaken, fine] = await Promise.all([
    asking({ warning: { value: 1, text: "slow: {0:.1f}" }, critical: { value: 20 } }),
    // From 30 s on a threshold is taken for a mistake, and the default of 1.5 s holds.
    asking({ warning: { value: 3_000, text: "slow: {0:.1f}" }, critical: { value: 20 } }),
    asking({ warning: { value: 19, text: "slow" }, critical: { value: 20 } }),
  ]);
  assert.match(warned, /^WARNING slow: [1-9]/);
  assert.match(mistaken, /^WARNING slow: [1-9]/);
  assert.match(fine, /^OK/);
});

test("without a configured port the default holds, and without that it is UNKNOWN", async () => {
  const uri = "{{zoo.cfg/clientPort}}";
  assert.match(await port({ uri, default_port: 2181 }), /^CRITICAL .* to web-1:2181$/);
  const none = "UNKNOWN The port is not configured, and the definition has no default port";
  assert.equal(await port({ uri }), none);
  assert.equal(await port({ uri, default_port: 99_999 }), none);
  assert.equal(await port({}), none);
});

test("a command is sent and its answer looked at", async (t) => {
  const zookeeper = await listen(t, (socket) => {
    socket.once("data", (data) => socket.end(data.toString() === "ruok" ? "imok" : "what?"));
  });
  const asking = (command: string, response = "imok") =>
    port({
      uri: `127.0.0.1:${zookeeper}`,
      parameters: [
        { name: "socket.command", value: command },
        { name: "socket.command.response", value: response },
      ],
    });
  assert.match(await asking("ruok"), /^OK/);
  assert.match(await asking("hello"), /^CRITICAL .* the answer was "what\?" instead of "imok"/);
});

test("who never answers, and who answers without end, is CRITICAL", async (t) => {
  const deaf = await listen(t, () => undefined);
  const flood = await listen(t, (socket) => {
    const pour = () => {
      while (!socket.destroyed && socket.write("x".repeat(65_536)));
    };
    socket.on("drain", pour);
    pour();
  });
  const asking = (at: number, seconds: number) =>
    port({
      uri: `127.0.0.1:${at}`,
      parameters: [
        { name: "socket.command", value: "ruok" },
        { name: "socket.command.response", value: "imok" },
      ],
      reporting: { critical: { value: seconds } },
    });
  assert.match(await asking(deaf, 0.2), /^CRITICAL Connection failed: timed out after 0.2 s to /);
  assert.match(await asking(flood, 25), /^CRITICAL Connection failed: the answer was "xxx/);
});

test("a source that is rubbish, and a type that is not known, are UNKNOWN", async () => {
  const rubbish =
    "UNKNOWN There is a problem with the alert definition: its source is no JSON object";
  assert.equal(await checked(AlertSourceType.PORT, "{"), rubbish);
  assert.equal(await checked(AlertSourceType.PORT, "[]"), rubbish);
  assert.match(
    await checked(99 as AlertSourceType, {}),
    /^UNKNOWN this agent does not know .* 99$/,
  );
  const source = { uri: "127.0.0.1:1", reporting: { critical: { text: "{7}" } } };
  assert.match(
    await checked(AlertSourceType.PORT, source),
    /^UNKNOWN There is a problem with the alert definition: its text asks for \{7\}/,
  );
});

test("a check that is ended says nothing", async (t) => {
  const deaf = await listen(t, () => undefined);
  const stop = new AbortController();
  const source = {
    uri: `127.0.0.1:${deaf}`,
    parameters: [{ name: "socket.command", value: "ruok" }],
    reporting: { critical: { value: 29 } },
  };
  const check = checked(AlertSourceType.PORT, source, {}, {}, stop.signal);
  stop.abort(new Error("over"));
  await assert.rejects(check, /over/);
});
