import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, connect as dial, type Socket } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Link, openLink } from "./link.js";

describe("openLink", () => {
  const heard: string[] = [];
  const echo = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      heard.push(bytes.toString());
      socket.write(bytes);
    });
  });
  let link: Link;
  let port: number | undefined;
  const sockets: Socket[] = [];
  before(async () => {
    echo.listen(0, "127.0.0.1");
    await once(echo, "listening");
    port = (echo.address() as AddressInfo).port;
    link = await openLink("client>echo", () => port);
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    link.set("open");
    link.delay(0);
    heard.length = 0;
  });
  after(() => {
    link.close();
    echo.close();
  });

  async function client(): Promise<{
    socket: Socket;
    got: () => string;
    closed: Promise<unknown>;
  }> {
    const socket = dial({ port: link.port, host: "127.0.0.1" });
    sockets.push(socket);
    socket.on("error", () => {});
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString();
    });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await Promise.race([new Promise((resolve) => socket.once("connect", resolve)), closed]);
    return { socket, got: () => text, closed };
  }

  async function until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!condition()) {
      assert.ok(performance.now() < deadline, "waited too long");
      await sleep(5);
    }
  }

  it("passes on both ways, to wherever the server is now", async () => {
    const { socket, got } = await client();
    socket.write("hello");
    await until(() => got() === "hello");
  });

  it("cut: breaks connections and makes no new ones", async () => {
    const { closed } = await client();
    link.set("cut");
    await closed;
    const { closed: again } = await client();
    await again;
  });

  it("does not connect to a server that is not there", async () => {
    const there = port;
    port = undefined;
    const { closed } = await client();
    await closed;
    port = there;
  });

  it("deaf: what the client sends arrives, and the answer is lost; healed, the connection breaks", async () => {
    const { socket, got, closed } = await client();
    link.set("deaf");
    socket.write("lost");
    await until(() => heard.includes("lost"));
    await sleep(300); // that nothing comes can only be waited for
    link.set("open");
    await Promise.race([closed, sleep(5_000, undefined, { ref: false })]);
    assert.ok(socket.destroyed);
    assert.equal(got(), "");
  });

  it("silent: nothing arrives; healed, the connection breaks", async () => {
    const { socket, closed } = await client();
    socket.write("before");
    await until(() => heard.includes("before"));
    link.set("silent");
    socket.write("never");
    await sleep(300); // that nothing arrives can only be waited for
    link.set("open");
    await Promise.race([closed, sleep(5_000, undefined, { ref: false })]);
    assert.ok(socket.destroyed);
    assert.deepEqual(heard, ["before"]);
  });

  it("delays, and keeps the order when the delay ends", async () => {
    const { socket, got } = await client();
    link.delay(100);
    const began = performance.now();
    socket.write("1");
    await until(() => performance.now() - began > 20);
    link.delay(0);
    socket.write("2");
    await until(() => got() === "12");
    assert.ok(performance.now() - began >= 99);
  });
});
