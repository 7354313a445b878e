import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { type Fleet, root, startFleet } from "./fleet.js";

const run = promisify(execFile);
const buf = join(root, "node_modules", ".bin", "buf");

/** buf curl with no proto file at hand: what it prints, errors among it. */
async function bufCurl(url: string, ...args: string[]): Promise<string> {
  const curl = ["curl", "--protocol", "grpc", "--http2-prior-knowledge", ...args, url];
  const { stdout, stderr } = await run(buf, curl, { cwd: root }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return `${stdout}${stderr}`;
}

describe("buf curl with reflection", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 1 });
  });
  after(() => fleet?.stop());

  const register = {
    register: { hostName: "by-hand", agentId: "a", journalId: "j", bootId: "b", agentVersion: "0" },
  };
  // Where each service is served, a call of it, and a piece of its answer.
  const calls: [
    unit: "scheduler" | "commandStore" | "dispatcher",
    listener: string,
    method: string,
    request: object,
    answer: RegExp,
  ][] = [
    ["scheduler", "main", "RequestService/PlanRequest", {}, /operation: is empty/],
    ["commandStore", "main", "CommandStoreService/ListRequests", {}, /\{\s*\}/],
    ["commandStore", "main", "FleetService/ListHosts", {}, /"hostName": ?"host1"/],
    ["commandStore", "main", "StackService/ListStacks", {}, /\{\s*\}/],
    ["commandStore", "main", "AlertService/ListAlerts", {}, /there is no cluster yet/],
    ["dispatcher", "main", "DispatcherService/ListSessions", {}, /"hostName": ?"host1"/],
    ["dispatcher", "agents", "AgentService/Connect", register, /"registrationResult"/],
  ];
  for (const [unit, listener, method, request, answer] of calls) {
    it(`lists and calls ${method} on its own port`, async () => {
      const url = `http://${fleet.installation[unit].addresses[listener]}`;
      assert.match(await bufCurl(url, "--list-methods"), new RegExp(`howdah\\.v1\\.${method}`));
      const said = await bufCurl(`${url}/howdah.v1.${method}`, "-d", JSON.stringify(request));
      assert.match(said, answer);
    });
  }
});
