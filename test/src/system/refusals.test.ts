import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  Guarantee,
  type RequestOptionsSchema,
  RetryCause,
} from "@howdah/proto/howdah/v1/operation";
import { Resolution } from "@howdah/proto/howdah/v1/request_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  applyTestCluster,
  type Fleet,
  healthyHosts,
  over,
  root,
  startFleet,
  until,
} from "./fleet.js";
import { howdah } from "./howdah.js";

/** What the command line answers to what is refused (cli/README.md). */
const refused = 4;

/** A line to run on all hosts. */
function anywhere(line: string) {
  return { argv: [line], hosts: { names: ["*"] } };
}

describe("what is refused, from outside", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 2 });
    await applyTestCluster(fleet, ["host1", "host2"]);
  });
  after(() => fleet?.stop());

  /** A copy of the TEST stack under another name, with a file of it changed. */
  function brokenStack(name: string, file: string, change: (text: string) => string): string {
    const stack = join(fleet.dir, "stacks", name, "1.0");
    cpSync(join(root, "test", "stacks", "TEST", "1.0"), stack, { recursive: true });
    const path = join(stack, file);
    writeFileSync(path, change(readFileSync(path, "utf8")));
    return stack;
  }

  /** A cluster file on the TEST stack, with one component on hosts. */
  function clusterFile(component: string, hosts: string[]): string {
    const path = join(fleet.dir, "cluster.yaml");
    const lines = ["name: other", "stack: TEST/1.0", "services:", "  STORE:"];
    writeFileSync(path, `${lines.join("\n")}\n    ${component}: [${hosts.join(", ")}]\n`);
    return path;
  }

  async function refusal(...args: string[]): Promise<string> {
    const { code, stderr } = await howdah(fleet, ...args);
    assert.equal(code, refused, stderr);
    assert.equal(stderr.trimEnd().split("\n").length, 1, `one line: ${stderr}`);
    return stderr;
  }

  it("malformed XML and JSON in a stack: by file and line", async () => {
    const xml = brokenStack("XML", "services/STORE/metainfo.xml", (text) =>
      text.replace("<name>STORE</name>", "<name>STORE</nane>"),
    );
    assert.match(await refusal("stack", "push", xml), /STORE\/metainfo\.xml:6: malformed XML/);
    const json = brokenStack("JSON", "services/STORE/role_command_order.json", (text) =>
      text.replace("{\n", "{\n  oops\n"),
    );
    assert.match(
      await refusal("stack", "push", json),
      /STORE\/role_command_order\.json:2: malformed JSON/,
    );
  });

  it("a cycle in a stack's order: by its members, and nothing is run", async () => {
    const stack = brokenStack("RING", "services/STORE/role_command_order.json", () =>
      JSON.stringify({
        general_deps: { "LEADER-START": ["WORKER-START"], "WORKER-START": ["LEADER-START"] },
      }),
    );
    assert.equal((await howdah(fleet, "stack", "push", stack)).code, 0);
    const path = join(fleet.dir, "ring.yaml");
    writeFileSync(
      path,
      "name: ring\nstack: RING/1.0\nservices:\n  STORE:\n    LEADER: [host1]\n    WORKER: [host1]\n",
    );
    assert.equal((await howdah(fleet, "cluster", "apply", path)).code, 0);
    const { requests: former } = await fleet.store.listRequests({});
    for (const verb of [["plan", "start"], ["start"]]) {
      const message = await refusal(...verb, "--cluster", "ring");
      assert.match(message, /LEADER START waits for WORKER START waits for LEADER START/);
    }
    assert.equal((await fleet.store.listRequests({})).requests.length, former.length);
  });

  it("a cluster file with an unknown component, an unknown host, too many hosts", async () => {
    const apply = (component: string, hosts: string[]) =>
      refusal("cluster", "apply", clusterFile(component, hosts));
    assert.match(await apply("BOGUS", ["host1"]), /BOGUS.*it has LEADER, WORKER, STORE_CLIENT/);
    assert.match(await apply("LEADER", ["host77"]), /host77/);
    assert.match(await apply("LEADER", ["host1", "host2"]), /LEADER.*cardinality/);
    const { clusters } = await fleet.fleet.listClusters({});
    assert.ok(!clusters.some(({ name }) => name === "other"), "nothing was made");
  });

  it("a second submission under one key: the same request, or refused for another content", async () => {
    const submit = (argv: string[]) =>
      fleet.requests.submitRequest({
        idempotencyKey: "the-key",
        operation: { kind: { case: "adHoc", value: { argv, hosts: { names: ["*"] } } } },
      });
    const answers = await Promise.all(Array.from({ length: 8 }, () => submit(["true"])));
    const ids = new Set(answers.map(({ request }) => request?.requestId ?? 0n));
    assert.equal(ids.size, 1);
    const [id = 0n] = ids;
    await assert.rejects(submit(["false"]), /already_exists.*"the-key" is request \d+'s/);
    assert.equal((await over(fleet, id)).counts?.completed, 2, "it ran once on each host");
  });

  it("options that contradict each other, a budget over 100 %: by field and value, and nothing is run", async () => {
    const operation = { kind: { case: "adHoc" as const, value: anywhere("true") } };
    const { requests: former } = await fleet.store.listRequests({});
    const cases: [MessageInitShape<typeof RequestOptionsSchema>, RegExp][] = [
      [{ rolling: { maxFailurePercent: 150 } }, /max_failure_percent: 150 is not between/],
      [
        { retry: { causes: [RetryCause.INTERRUPTED] }, guarantee: Guarantee.AT_MOST_ONCE },
        /options.retry.causes: INTERRUPTED is never retried with the guarantee AT_MOST_ONCE/,
      ],
      [
        { rolling: { pause: { seconds: 5n }, maxFailures: 1 } },
        /rolling.pause: there is one batch/,
      ],
    ];
    for (const [options, message] of cases) {
      await assert.rejects(fleet.requests.submitRequest({ operation, options }), (error) => {
        assert.ok(error instanceof ConnectError);
        assert.equal(error.code, Code.InvalidArgument);
        assert.match(error.rawMessage, message);
        return true;
      });
    }
    assert.equal((await fleet.store.listRequests({})).requests.length, former.length);
    const percent = ["run", "--hosts", "*", "--batch", "1", "--max-failures", "150%", "--", "true"];
    const { code, stderr } = await howdah(fleet, ...percent);
    assert.equal(code, 2, "a mistake in the command line");
    assert.match(stderr, /--max-failures: "150%" is more than 100%/);
  });

  it("a retry of what runs, a resolution of what is not held, a cancel of what is over", async () => {
    const gate = join(fleet.dir, "gate");
    const value = anywhere(`until [ -e ${gate} ]; do sleep 0.1; done`);
    const { request } = await fleet.requests.submitRequest({
      operation: { kind: { case: "adHoc", value } },
    });
    const requestId = request?.requestId ?? 0n;
    const { tasks } = await fleet.store.listTasks({ requestId });
    const taskIds = [tasks[0]?.taskId ?? 0n];
    const refuses = async (call: Promise<unknown>, message: RegExp) => {
      const error = await call.then(() => undefined, ConnectError.from);
      assert.equal(error?.code, Code.FailedPrecondition, error?.message);
      assert.match(error.rawMessage, message);
    };
    await refuses(fleet.requests.retryRequest({ requestId }), /is still running; wait for its end/);
    const resolution = Resolution.RETRY;
    await refuses(
      fleet.requests.resolveTasks({ requestId, taskIds, resolution }),
      /task \d+ is \w+: it does not wait for a person/,
    );
    writeFileSync(gate, "");
    const { status } = await over(fleet, requestId);
    assert.equal(Status[status], "COMPLETED");
    await refuses(fleet.requests.cancelRequest({ requestId }), /request \d+ is over/);
    await refuses(fleet.requests.retryRequest({ requestId }), /nothing to retry/);
    await refuses(fleet.requests.resolveTasks({ requestId, taskIds, resolution }), /is over/);
    assert.equal(Status[(await over(fleet, requestId)).status], "COMPLETED");
  });

  it("a message over the limit", async () => {
    const body = JSON.stringify({ context: "x".repeat(4 << 20) });
    const response = await fetch(`${fleet.url}/howdah.v1.RequestService/SubmitRequest`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    assert.equal(response.status, 429);
    assert.match(await response.text(), /resource_exhausted.*4194304/);
  });

  it("an agent under a name that is connected: the first one keeps its session", async () => {
    const prefix = join(fleet.dir, "second");
    mkdirSync(prefix);
    const ini = join(prefix, "agent.ini");
    const address = fleet.installation.dispatcher.addresses.agents;
    writeFileSync(
      ini,
      `[server]\naddress = ${address}\n[agent]\nhostname = host1\nprefix = ${prefix}\n`,
    );
    const second = spawn(process.execPath, [
      join(root, "agent", "dist", "main.js"),
      "--config",
      ini,
    ]);
    let log = "";
    second.stdout.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
    const ended = new Promise((resolve) => second.on("close", resolve));
    try {
      await until("the refusal", () => log.includes("AlreadyExists"));
      assert.match(log, /host host1 is connected from 127\.0\.0\.1:\d+; this agent .* comes from/);
      const { hosts } = await fleet.fleet.listHosts({});
      assert.deepEqual(
        hosts.map(({ hostName, sessionEpoch }) => [hostName, sessionEpoch]),
        [
          ["host1", 1n],
          ["host2", 1n],
        ],
      );
      await healthyHosts(fleet, 2);
    } finally {
      second.kill("SIGTERM");
      await ended;
    }
  });
});
