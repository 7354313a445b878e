import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { findProcesses } from "@howdah/launcher/find-processes";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { pushStack, tasksOf, until } from "../system/fleet.js";
import type { CompatFleet } from "./compat-fleet.js";
import { master, partOf, runOf, stepsOf } from "./script-runs.js";

const { START, SERVICE_CHECK } = RoleCommand;

/** How commands end, and what is true of the next one: STATUS, checks, cancel, time-out, a fixed script, command files. */
export function howCommandsEnd(compat: () => CompatFleet): void {
  it("takes exit code 0 of STATUS for started, any other for not, and runs no hooks for it", async () => {
    const fleet = compat();
    const shows = (state: ComponentState) =>
      until(`COMPAT_SLAVE on host1 to be ${ComponentState[state]}`, async () => {
        const { hostComponents } = await fleet.fleet.listHostComponents({});
        return hostComponents.some(
          ({ componentName, hostName, currentState }) =>
            componentName === "COMPAT_SLAVE" && hostName === "host1" && currentState === state,
        );
      });
    await shows(ComponentState.STARTED);
    for (const exit of [1, 3, 255]) {
      fleet.behave("host1", "COMPAT_SLAVE-STATUS", { exit });
      await shows(ComponentState.INSTALLED);
      fleet.behave("host1", "COMPAT_SLAVE-STATUS", {});
      await shows(ComponentState.STARTED);
    }
    const checks = fleet.runs("host1").filter(({ argv }) => argv[0] === "STATUS");
    assert.ok(!stepsOf(checks).includes("before-STATUS"));
    const check = checks.find(({ command }) => command.role === "COMPAT_SLAVE");
    assert.ok(check);
    assert.equal(check.command.taskId, undefined);
    assert.match(check.argv[1] ?? "", /status_command_[0-9a-f-]{36}\.json$/);
    assert.match(check.argv[3] ?? "", /status_structured-out-[0-9a-f-]{36}\.json$/);
  });

  it("runs the service check on one host with its own time-out", async () => {
    const fleet = compat();
    const { request } = await fleet.requests.submitRequest({
      operation: {
        kind: {
          case: "service",
          value: { cluster: "compat", roleCommand: SERVICE_CHECK, services: ["COMPAT"] },
        },
      },
    });
    const { status, tasks } = await fleet.ended(request?.requestId ?? 0n);
    assert.deepEqual([status, tasks.length], ["COMPLETED", 1]);
    const run = runOf(fleet, tasks[0]?.hostName ?? "", tasks[0]?.taskId);
    assert.deepEqual([run.argv[0], run.command.role], ["SERVICE_CHECK", "COMPAT_SERVICE_CHECK"]);
    assert.equal(partOf(run, "commandParams").command_timeout, "120");
  });

  it("cancels with all that a script started, in Ambari's words", async () => {
    const fleet = compat();
    const daemon = ["sleep", "98765"];
    const never = join(fleet.dir, "never");
    fleet.behave("host1", `${master}-START`, { wait_for: never, spawn: daemon, out: "waiting" });
    const sleepers = () => findProcesses((args) => args[0] === "sleep" && args[1] === "98765");
    const value = { cluster: "compat", roleCommand: START, components: [master], evenIfDone: true };
    const { request } = await fleet.requests.submitRequest({
      operation: { kind: { case: "service", value: { ...value, skipServiceChecks: true } } },
    });
    const requestId = request?.requestId ?? 0n;
    await until("the daemon to run", async () => (await sleepers()).length > 0);
    await fleet.requests.cancelRequest({ requestId, reason: "enough" });
    const { status, tasks } = await fleet.ended(requestId);
    fleet.behave("host1", `${master}-START`, {});
    assert.equal(status, "ABORTED");
    const [task] = await tasksOf(fleet, requestId);
    assert.deepEqual([Status[task?.status ?? 0], task?.exitCode], ["ABORTED", -15]);
    assert.match(
      await fleet.output(tasks[0], 1),
      /\nCommand aborted\. Reason: 'enough'\n\nCommand failed after 1 tries\n$/,
    );
    assert.match(await fleet.output(tasks[0], 2), /\nCommand aborted\. Reason: 'enough'$/);
    assert.deepEqual(await sleepers(), []);
  });

  it("ends what takes too long, with exit code 999 and Ambari's words", async () => {
    const fleet = compat();
    fleet.behave("host1", `${master}-REFRESH`, { wait_for: join(fleet.dir, "never") });
    const value = { cluster: "compat", component: master, command: "REFRESH" };
    const { request } = await fleet.requests.submitRequest({
      operation: { kind: { case: "customCommand", value } },
      options: { timeout: { seconds: 1n } },
    });
    const { tasks } = await fleet.ended(request?.requestId ?? 0n);
    fleet.behave("host1", `${master}-REFRESH`, {});
    assert.deepEqual([Status[tasks[0]?.status ?? 0], tasks[0]?.exitCode], ["TIMEDOUT", 999]);
    const errors = await fleet.output(tasks[0], 2);
    assert.match(errors, /Python script has been killed due to timeout after waiting 1 secs$/);
  });

  it("runs a script that was fixed with the very next command", async () => {
    const fleet = compat();
    const file = join(fleet.tree, "stacks/COMPAT/1.0/services/COMPAT/package/version.txt");
    const folder = join(
      fleet.prefix("host1"),
      "cache/stacks/COMPAT/1.0/services/COMPAT/package/version.txt",
    );
    for (const version of ["two", "three"]) {
      const before = await fleet.custom("REFRESH");
      assert.notEqual(runOf(fleet, "host1", before.tasks[0]?.taskId).version, version);
      writeFileSync(file, version);
      await pushStack(fleet, join(fleet.tree, "stacks", "COMPAT", "1.0"));
      const { tasks } = await fleet.custom("REFRESH");
      assert.equal(runOf(fleet, "host1", tasks[0]?.taskId).version, version);
      assert.equal(readFileSync(folder, "utf8"), version);
    }
  });

  it("keeps command files, or removes those of what succeeded, as the agent is set up", async () => {
    const fleet = compat();
    fleet.behave("host2", "COMPAT_SLAVE-START", { exit: 1 });
    const failed = await fleet.operate(START, ["COMPAT_SLAVE"], ["host2"]);
    fleet.behave("host2", "COMPAT_SLAVE-START", {});
    const good = await fleet.operate(START, ["COMPAT_SLAVE"]);
    const fileOf = (host: string, id: bigint | undefined) =>
      join(fleet.prefix(host), "data", `command-${id}.json`);
    const goodOn = (host: string) => good.tasks.find(({ hostName }) => hostName === host)?.taskId;
    assert.ok(existsSync(fileOf("host1", goodOn("host1"))));
    assert.ok(!existsSync(fileOf("host2", goodOn("host2"))));
    assert.ok(existsSync(fileOf("host2", failed.tasks[0]?.taskId)));
  });
}
