import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { freePort } from "@howdah/launcher/free-port";
import type { Unit } from "@howdah/launcher/unit";
import { DispatcherService } from "@howdah/proto/howdah/v1/dispatcher_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Link, openLink } from "../chaos/fleet/link.js";
import { type Fleet, healthyHosts, outputOf, over, startFleet, tasksOf, until } from "./fleet.js";
import { directly, hostsAt, logOf, startHeld, unitOf } from "./replicas.js";

describe("a dispatcher that was stopped with reports under way", () => {
  let fleet: Fleet;
  /** From each dispatcher to the store. */
  const links = new Map<string, Link>();
  before(async () => {
    const port = await freePort();
    for (const name of ["dispatcher-1", "dispatcher-2"]) {
      links.set(name, await openLink(`${name}>command-store-1`, () => port));
    }
    fleet = await startFleet({
      agents: 2,
      replicas: { dispatcher: 2 },
      envOf: (name): Record<string, string> => {
        const link = links.get(name);
        if (link !== undefined) return { HOWDAH_COMMAND_STORE: link.address };
        return name === "command-store-1" ? { HOWDAH_LISTEN: `127.0.0.1:${port}` } : {};
      },
    });
  });
  after(async () => {
    await fleet?.stop();
    for (const link of links.values()) link.close();
  });

  /** How long ago a dispatcher heard of a host, in milliseconds. */
  async function silentMs(dispatcher: Unit, host: string): Promise<number> {
    const { sessions } = await directly(dispatcher, DispatcherService, (client) =>
      client.listSessions({}),
    );
    return Number(sessions.find(({ hostName }) => hostName === host)?.silentMs ?? 0n);
  }

  it("has them refused: the result comes over the agent's new session, once", async () => {
    const held = await startHeld(fleet, "held", ["host1"]);
    const [first, second] = [1, 2].map((n) => unitOf(fleet, "dispatcher", n)) as [Unit, Unit];
    const [old, other] = (await hostsAt(first)).includes("host1")
      ? [first, second]
      : [second, first];
    const [oldLink, otherLink] = [links.get(old.name), links.get(other.name)];
    assert.ok(oldLink && otherLink);
    const epoch = async () => {
      const { hosts } = await fleet.fleet.listHosts({});
      return hosts.find(({ hostName }) => hostName === "host1")?.sessionEpoch ?? 0n;
    };
    const before = await epoch();
    const log = logOf(old);

    // It gets the result and cannot pass it on.
    oldLink.set("silent");
    // So that what is heard next is the report.
    await until("the agent to have nothing to say", async () => {
      return (await silentMs(old, "host1")) > 1_000;
    });
    const at = performance.now();
    held.release();
    await until("the report to arrive", async () => {
      return (await silentMs(old, "host1")) < performance.now() - at;
    });
    old.kill("SIGSTOP");
    // Slow, so that there is time between the agent's new session and its report on it.
    otherLink.delay(1_000);
    await until("host1 to have a session with the other", async () => (await epoch()) > before);
    oldLink.set("open");
    old.kill("SIGCONT");
    await until("the report to be refused", () =>
      log.since().includes("a report was refused: its host has a newer session"),
    );
    otherLink.delay(0);

    const ended = await over(fleet, held.requestId);
    assert.equal(Status[ended.status], "COMPLETED");
    assert.equal(ended.counts?.completed, 1);
    assert.equal(ended.counts?.total, 1);
    const [task] = await tasksOf(fleet, held.requestId);
    assert.equal(task?.attempt, 1);
    assert.equal(task?.sessionEpoch, await epoch(), "the result came on the new session");
    assert.equal(await outputOf(fleet, task?.taskId ?? 0n), "held done\n");
    assert.equal(held.runs("host1"), 1);

    // It works again: what it held is forgotten, and agents may come to it.
    await healthyHosts(fleet, 2);
    await other.stop();
    await until("both hosts at it", async () => (await hostsAt(old)).length === 2);
  });
});
