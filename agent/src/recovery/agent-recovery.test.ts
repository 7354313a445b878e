import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { autoRecords, recoveryWorld } from "../testing/recovery-world.js";
import { textOf, until } from "../testing/test-agent.js";
import { shellTask } from "../testing/test-dispatcher.js";

const { STARTED, INSTALLED } = ComponentState;
const off = { desiredState: ComponentState.UNSPECIFIED, desiredRequestId: 0n };

// They wait for checks most of the time.
describe("an agent's recovery", { concurrency: 3 }, () => {
  it("what should run and does not is started with its hooks, and its status is told", async (t) => {
    const { agent, dispatcher, command, check, calls, told, down, autoFiles } =
      await recoveryWorld(t);
    const session = await dispatcher.session();
    command(session, check("NN"), check("DN", off));
    await until(() => told(session).includes("NN STARTED"), "its status");
    assert.deepEqual(calls("NN"), ["before-START", "START", "after-START"]);
    assert.deepEqual(calls("DN"), []);
    assert.equal(dispatcher.reports.length, 0, "it is no command of the server");
    assert.deepEqual(agent.journal(), []);

    const [commandFile = "", , outputFile = ""] = autoFiles();
    assert.match(commandFile, /^auto_command-[0-9]{10}[.]json$/);
    const number = Number(/[0-9]+/.exec(commandFile)?.[0]);
    assert.deepEqual(autoFiles(), [
      `auto_command-${number}.json`,
      `auto_errors-${number}.txt`,
      `auto_output-${number}.txt`,
    ]);
    const json = JSON.parse(readFileSync(join(agent.folders.data, commandFile), "utf8"));
    assert.deepEqual(
      [json.commandType, json.roleCommand, json.role, json.serviceName, json.clusterId],
      ["AUTO_EXECUTION_COMMAND", "START", "NN", "HDFS", "7"],
    );
    assert.deepEqual([json.taskId, json.commandId, json.requestId], [number, number, undefined]);
    assert.deepEqual(json.hostLevelParams, {
      recoveryConfig: {
        components: [{ service_name: "HDFS", component_name: "NN", desired_state: "STARTED" }],
      },
    });
    assert.match(
      textOf(join(agent.folders.data, outputFile)),
      /\n\nCommand completed successfully!\n$/,
    );
    await until(() => autoRecords(agent).length === 0, "its record to be gone");

    // Not before the interval has passed, however often it is found down.
    down("NN");
    await until(() => told(session).at(-1) === "NN INSTALLED", "that it is down");
    const checks = textOf(join(agent.folders.tmp, "NN.status")).length;
    await until(() => textOf(join(agent.folders.tmp, "NN.status")).length > checks + 3, "checks");
    assert.equal(calls("NN").length, 3);
    const lines = agent.log.filter(({ msg }) => String(msg).includes("recover"));
    assert.deepEqual(
      lines.map(({ msg, component, command: name, count }) => [msg, component, name, count]),
      [["recovering a component", "NN", "START", 1]],
    );
  });

  it("what an operator stopped stays stopped, whatever was on its way from the server", async (t) => {
    const { agent, dispatcher, command, check, calls, order, isUp, up, checked } =
      await recoveryWorld(t);
    const session = await dispatcher.session();
    up("NN");
    command(session, check("NN"));
    await until(() => dispatcher.sessions.length > 0, "a session");
    order(session, 1, "NN", "STOP", 7);
    // Read before the STOP was asked for, it comes behind it.
    command(session, check("NN"));
    await dispatcher.ended(1);
    const json = JSON.parse(readFileSync(join(agent.folders.data, "command-1.json"), "utf8"));
    assert.deepEqual(json.hostLevelParams.recoveryConfig.components, [
      { service_name: "HDFS", component_name: "NN", desired_state: "INSTALLED" },
    ]);
    command(session, check("NN"));
    await checked("NN", 3);
    assert.ok(!isUp("NN"));
    command(session, check("NN", { desiredState: INSTALLED, desiredRequestId: 7n }));
    await checked("NN", 2);
    assert.deepEqual(calls("NN"), ["STOP"]);
    // A later request wants it to run.
    command(session, check("NN", { desiredRequestId: 9n }));
    await until(() => isUp("NN"), "its start");
  });

  it("it is recovered by an agent that started without a server; what was stopped is not", async (t) => {
    const world = await recoveryWorld(t);
    const { agent, dispatcher, command, check, calls, order, isUp, up, down, checked } = world;
    const session = await dispatcher.session();
    up("NN");
    up("DN");
    command(session, check("NN"), check("DN"));
    await checked("DN", 1);
    order(session, 1, "DN", "STOP", 7);
    await dispatcher.ended(1);
    await agent.end("SIGKILL");
    down("NN");
    world.useServer("127.0.0.1:1");
    agent.start();
    await until(() => isUp("NN"), "its start");
    await checked("DN", 2);
    assert.deepEqual(calls("DN"), ["STOP"]);
  });

  it("the host's end cuts a recovery short: the next agent does not take it for its own, and starts anew", async (t) => {
    const world = await recoveryWorld(t);
    const { agent, dispatcher, command, check, calls, hold, isUp } = world;
    const session = await dispatcher.session();
    hold("NN");
    command(session, check("NN"));
    await until(() => calls("NN").includes("START"), "the start");
    await agent.end("SIGKILL");
    const [record = ""] = autoRecords(agent);
    const about = join(agent.folders.steps, record, "auto.json");
    const auto = JSON.parse(readFileSync(about, "utf8")) as Record<string, string>;
    writeFileSync(about, JSON.stringify({ ...auto, bootId: "another" }));
    const [pid = ""] = textOf(join(agent.folders.steps, record, "1.script.record")).split(" ");
    assert.match(pid, /^[1-9][0-9]+$/);
    process.kill(-Number(pid), "SIGKILL"); // its supervisor leads a session
    world.go("NN");
    world.useServer("127.0.0.1:1");
    agent.start();
    await until(() => isUp("NN"), "its start");
    await until(() => autoRecords(agent).length === 0, "its record to be gone");
    assert.equal(calls("NN").filter((call) => call === "START").length, 2);
  });

  it("hooks are on the disk before they are needed", async (t) => {
    const { agent, dispatcher, command, check, up } = await recoveryWorld(t);
    const session = await dispatcher.session();
    up("NN");
    const spec = check("NN").spec;
    const digest = "c".repeat(64);
    command(session, check("NN", spec && { spec: { ...spec, hooksDigest: digest } }));
    await until(() => dispatcher.fetches.includes(digest), "the fetch");
    await until(() => agent.log.some(({ msg }) => msg === "hooks cannot be had"), "the warning");
  });

  it("a file with the last word of the server that is damaged is as none", async (t) => {
    const world = await recoveryWorld(t);
    const { agent, dispatcher, command, check, told, down, up, calls } = world;
    const session = await dispatcher.session();
    up("NN");
    command(session, check("NN"));
    await until(() => told(session).length > 0, "its status");
    await agent.end("SIGKILL");
    down("NN");
    const file = join(agent.folders.clusterCache, "status_command.json");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.slice(0, text.length / 2));
    agent.start();
    const next = await until(() => dispatcher.sessions.length > 1 && dispatcher.sessions[1], "it");
    await dispatcher.session();
    assert.deepEqual(calls("NN"), []);
    command(next, check("NN"));
    await until(() => told(next).includes("NN STARTED"), "its start");
  });

  it("kill -9 of the agent meanwhile: the next one follows what was begun and begins nothing beside it", async (t) => {
    const world = await recoveryWorld(t);
    const { agent, dispatcher, command, check, calls, hold, go, order, autoFiles, isUp } = world;
    const { starts } = world;
    const session = await dispatcher.session();
    hold("NN");
    command(session, check("NN"));
    await until(() => calls("NN").includes("START"), "the start");
    await agent.end("SIGKILL");
    agent.start();
    await until(() => dispatcher.sessions.length > 1, "the next session");
    const next = await dispatcher.session();
    command(next, check("NN"));
    order(next, 1, "DN", "START", 8);
    // What runs in the background waits for nobody.
    next.say(shellTask(2, "sleep 0.5", {}, { background: true }));
    await dispatcher.ended(2);
    command(next, check("NN"));
    go("NN");
    await dispatcher.ended(1);
    assert.deepEqual(starts(), ["NN begins", "NN ends", "DN begins", "DN ends"]);
    assert.deepEqual(calls("NN"), ["before-START", "START", "after-START"]);
    assert.ok(isUp("NN"));
    const output = autoFiles().find((name) => name.startsWith("auto_output")) ?? "";
    assert.match(
      textOf(join(agent.folders.data, output)),
      /\n\nCommand completed successfully!\n$/,
    );
    assert.equal(autoFiles().length, 3);
    await until(() => autoRecords(agent).length === 0, "its record to be gone");
  });

  it("nothing is started while a command waits or runs, and at once when none does any more", async (t) => {
    const { agent, dispatcher, command, check, calls, checked, isUp } = await recoveryWorld(t);
    const session = await dispatcher.session();
    const go = join(agent.folders.tmp, "go");
    session.say(shellTask(1, `until [ -e ${go} ]; do sleep 0.05; done`));
    await until(() => agent.entry(1)?.state === "RUNNING", "the command to run");
    command(session, check("NN"));
    await checked("NN", 2);
    assert.deepEqual(calls("NN"), []);
    writeFileSync(go, "");
    await until(() => isUp("NN"), "its start");
  });

  it("a background command that runs on and on keeps nothing down", async (t) => {
    const { agent, dispatcher, command, check, isUp } = await recoveryWorld(t);
    const session = await dispatcher.session();
    const go = join(agent.folders.tmp, "go");
    const line = `until [ -e ${go} ]; do sleep 0.05; done`;
    session.say(shellTask(1, line, {}, { background: true }));
    await until(() => agent.entry(1)?.state === "RUNNING", "the command to run");
    command(session, check("NN"));
    await until(() => isUp("NN"), "its start");
    assert.equal(agent.entry(1)?.state, "RUNNING");
    writeFileSync(go, "");
    await dispatcher.ended(1);
  });

  it("a STOP of the component ends its recovery at once, also one behind another command, which waits for that", async (t) => {
    const world = await recoveryWorld(t);
    const { agent, dispatcher, command, check, calls, hold, order, isUp, checked, starts } = world;
    const session = await dispatcher.session();
    hold("NN");
    command(session, check("NN"));
    await until(() => calls("NN").includes("START"), "the start");
    order(session, 1, "DN", "START", 6);
    order(session, 2, "NN", "STOP", 7);
    await dispatcher.ended(2);
    assert.equal(agent.entry(1)?.result?.status, "COMPLETED");
    assert.deepEqual(starts(), ["NN begins", "DN begins", "DN ends"]);
    assert.deepEqual(calls("NN"), ["before-START", "START", "STOP"]);
    await checked("NN", 2);
    assert.ok(!isUp("NN"));
    assert.equal(calls("NN").length, 3);
  });

  it("what another store's server said does not count", async (t) => {
    const world = await recoveryWorld(t);
    const { agent, dispatcher, command, check, told, up, down, calls } = world;
    const session = await dispatcher.session();
    up("NN");
    command(session, check("NN"));
    await until(() => told(session).length > 0, "its status");
    await agent.end("SIGKILL");
    dispatcher.script.storeId = "another";
    agent.start();
    await until(() => dispatcher.sessions.length > 1, "the next session");
    await dispatcher.session();
    const kept = join(agent.folders.clusterCache, "status_command.json");
    await until(() => !textOf(kept).includes('"NN"'), "what was kept to go");
    const checks = textOf(join(agent.folders.tmp, "NN.status")).length;
    down("NN");
    const next = await dispatcher.session();
    command(next, check("DN", { ...off }));
    await until(() => textOf(join(agent.folders.tmp, "DN.status")).length > 4, "some passes");
    assert.ok(textOf(join(agent.folders.tmp, "NN.status")).length <= checks + 2);
    assert.deepEqual(calls("NN"), []);
  });

  for (const [name, environment, more] of [
    ["switched off for the cluster", { recovery_enabled: "false" }, {}],
    ["switched off for the component", { recovery_enabled: "true" }, { recoveryEnabled: false }],
    ["wanted INSTALLED", { recovery_enabled: "true" }, { desiredState: INSTALLED }],
    ["in maintenance", { recovery_enabled: "true" }, off],
    ["with settings that cannot be", { recovery_enabled: "true", recovery_max_count: "0" }, {}],
  ] as const) {
    it(`nothing is started of what is ${name}`, async (t) => {
      const { agent, dispatcher, command, check, calls, checked } = await recoveryWorld(
        t,
        environment,
      );
      command(await dispatcher.session(), check("NN", { desiredState: STARTED, ...more }));
      await checked("NN", 3);
      assert.deepEqual(calls("NN"), []);
      const reasons = agent.log.flatMap(({ reason }) => reason ?? []);
      assert.deepEqual(
        reasons.filter((reason) => String(reason).startsWith("recovery_")),
        "recovery_max_count" in environment
          ? ['recovery_max_count = "0" must be a whole number above 0']
          : [],
      );
      assert.ok(!existsSync(join(agent.folders.tmp, "NN.up")));
    });
  }
  it("AUTO_INSTALL_START installs again what failed to be installed, and then starts it", async (t) => {
    const world = await recoveryWorld(t, {
      recovery_enabled: "true",
      recovery_type: "AUTO_INSTALL_START",
    });
    const { agent, dispatcher, command, check, calls, order } = world;
    const session = await dispatcher.session();
    const broken = join(agent.folders.tmp, "DN.broken");
    writeFileSync(broken, "");
    order(session, 1, "DN", "INSTALL", 5);
    await dispatcher.ended(1);
    command(session, check("DN"));
    await until(() => calls("DN").length === 2, "the second INSTALL");
    assert.deepEqual(calls("DN"), ["INSTALL", "INSTALL"]);
  });

  it("FULL stops what should not run", async (t) => {
    const { dispatcher, command, check, calls, up, isUp } = await recoveryWorld(t, {
      recovery_enabled: "true",
    });
    const session = await dispatcher.session();
    up("NN");
    command(session, check("NN", { desiredState: INSTALLED }));
    await until(() => !isUp("NN"), "its end");
    assert.deepEqual(calls("NN"), ["STOP"]);
  });
});
