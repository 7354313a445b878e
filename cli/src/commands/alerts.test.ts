import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { AlertSourceType, AlertState } from "@howdah/proto/howdah/v1/alert";
import {
  AlertFirmness,
  type ListAlertsRequest,
  type RunAlertRequest,
  type UpdateAlertDefinitionRequest,
} from "@howdah/proto/howdah/v1/alert_service";
import { cli, type FakeServices, fakeServer } from "../cli-fixture.js";

const { OK, WARNING, CRITICAL, UNKNOWN, SKIPPED, UNSPECIFIED } = AlertState;
const { SOFT, HARD } = AlertFirmness;
const since = timestampFromMs(new Date(2026, 2, 1, 14, 5, 9).getTime());

const alerts = [
  {
    name: "nn_port",
    hostName: "h1",
    state: CRITICAL,
    text: "no\nconnection",
    firmness: HARD,
    since,
  },
  { name: "dn_web", hostName: "h2", state: WARNING, text: "x".repeat(200), firmness: SOFT, since },
  {
    ...{ name: "dn_web", hostName: "h3", state: OK, text: "fine", firmness: HARD, since },
    ...{ stale: true, maintenance: { reason: "new disks" } },
  },
];
const counts = [
  { state: OK, count: 94n, inMaintenance: 1n },
  { state: CRITICAL, count: 1n },
  { state: WARNING, count: 1n },
];
const definition = {
  ...{ name: "nn_port", serviceName: "HDFS", componentName: "NAMENODE", label: "NameNode port" },
  ...{ enabled: true, intervalMinutes: 5, sourceType: AlertSourceType.PORT, repeatTolerance: 3 },
};

/** A server with these alerts, of a cluster with service HDFS; what was asked is noted. */
function server(seen: ListAlertsRequest[] = []): FakeServices {
  return {
    fleet: {
      listHosts: ({ selector }) => ({
        hosts: selector?.names[0] === "h1" ? [{ hostName: "h1" }] : [],
      }),
      getCluster: () => ({ cluster: { name: "demo", services: [{ name: "HDFS" }] } }),
    },
    alerts: {
      listAlerts(request) {
        seen.push(request);
        const { states, name, pageSize, pageToken } = request;
        const some = alerts.filter(
          (one) =>
            (states.length === 0 || states.includes(one.state)) && ["", one.name].includes(name),
        );
        const from = Number(pageToken);
        return {
          alerts: some.slice(from, from + pageSize),
          nextPageToken: from + pageSize < some.length ? String(from + pageSize) : "",
          counts: from > 0 || some.length === 0 ? [] : counts,
        };
      },
      listAlertHistory: ({ pageSize, name }) => ({
        changes:
          name === "" ? alerts.slice(0, pageSize).map((one) => ({ ...one, changedAt: since })) : [],
        nextPageToken: pageSize < alerts.length ? "more" : "",
      }),
      listAlertDefinitions: ({ name }) => ({
        definitions: ["", "nn_port"].includes(name)
          ? [definition, { ...definition, enabled: false, name: "off" }]
          : [],
      }),
    },
  };
}

describe("howdah alerts", () => {
  it("tells how many there are, then what is worst first, with what is soft, stale or in maintenance", async (t) => {
    const url = await fakeServer(t, server());
    const { exitCode, out, err } = await cli(["alerts"], { server: url });
    assert.deepEqual([exitCode, err], [0, ""]);
    const [first, , ...lines] = out.split("\n");
    assert.equal(first, "1 CRITICAL, 1 WARNING, 94 OK; in maintenance: 1 OK");
    assert.match(lines[0] ?? "", /^CRITICAL +nn_port +h1 +2026-03-01 14:05:09 +no connection$/);
    assert.match(lines[1] ?? "", /^WARNING \(soft\) +dn_web +h2 .* x{119}…$/);
    assert.match(lines[2] ?? "", /^OK +dn_web +h3 .* stale; maintenance: new disks +fine$/);
  });

  it("says how many more there are and how to see them", async (t) => {
    const seen: ListAlertsRequest[] = [];
    const url = await fakeServer(t, server(seen));
    const { out } = await cli(["alerts", "--limit", "2"], { server: url });
    assert.equal(
      out.split("\n").at(-2),
      "the first 2 of 97 are shown: --all shows the others, --state, --service, --host and --name fewer",
    );
    assert.deepEqual(
      seen.map(({ pageSize }) => pageSize),
      [2],
    );
    const all = await cli(["alerts", "--all"], { server: url });
    assert.equal(all.out.trim().split("\n").length, 5);
  });

  it("asks for what is named, and refuses what is not there", async (t) => {
    const seen: ListAlertsRequest[] = [];
    const url = await fakeServer(t, server(seen));
    const named = ["--cluster", "demo", "--service", "HDFS", "--host", "h1", "--name", "nn_port"];
    await cli(["alerts", "--state", "critical,warning", ...named], { server: url });
    const { cluster, states, serviceName, hostName, name } = seen[0] as ListAlertsRequest;
    assert.deepEqual(
      { cluster, states, serviceName, hostName, name },
      {
        ...{ cluster: "demo", states: [CRITICAL, WARNING], serviceName: "HDFS" },
        ...{ hostName: "h1", name: "nn_port" },
      },
    );
    const cases: [string[], number, RegExp][] = [
      [["--state", "bad"], 2, /--state: "bad" is no state; it may be critical, warning/],
      [["--history", "--definitions"], 2, /exclude each other/],
      [["--history", "--state", "ok"], 2, /--state does not go with --history/],
      [["--definitions", "--host", "h1"], 2, /--host does not go with --definitions/],
      [["--name", "typo"], 4, /there is no alert typo; howdah alerts --definitions lists them/],
      [["--name", "typo", "--host", "h9"], 4, /no agent has ever registered as h9/],
      [["--name", "typo", "--service", "HDSF"], 4, /--service: HDSF is not in cluster demo/],
      [["--history", "--name", "typo"], 4, /there is no alert typo/],
      [["--definitions", "--name", "typo"], 4, /there is no alert typo/],
    ];
    for (const [args, code, text] of cases) {
      const { exitCode, err } = await cli(["alerts", ...args], { server: url });
      assert.equal(exitCode, code, args.join(" "));
      assert.match(err, text);
    }
  });

  it("tells the history, and the definitions", async (t) => {
    const url = await fakeServer(t, server());
    const history = await cli(["alerts", "--history", "--limit", "1"], { server: url });
    const [, line, more] = history.out.split("\n");
    assert.match(line ?? "", /^2026-03-01 14:05:09 +CRITICAL +nn_port +h1 +no connection$/);
    assert.match(more ?? "", /^the newest 1 is shown: --all shows more/);
    const { out } = await cli(["alerts", "--definitions"], { server: url });
    const [, first, second] = out.split("\n");
    assert.match(first ?? "", /^nn_port +HDFS +NAMENODE +PORT +5 min +on +3 +NameNode port$/);
    assert.match(second ?? "", /^off +HDFS +NAMENODE +PORT +5 min +off/);
  });

  it("writes a line for each thing for programs, the counts first", async (t) => {
    const url = await fakeServer(t, server());
    const { out } = await cli(["alerts", "--output", "json"], { server: url });
    const lines = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.slice(0, 3).map(({ count }) => count),
      ["94", "1", "1"],
    );
    assert.deepEqual(
      lines.slice(3).map(({ name }) => name),
      ["nn_port", "dn_web", "dn_web"],
    );
  });
});

describe("howdah alert run", () => {
  const answer = (hostName: string, state: AlertState, text: string) => ({ hostName, state, text });

  it("tells each answer, and exits with 0 only when all is well", async (t) => {
    let asked: RunAlertRequest | undefined;
    let answers = [answer("h1", OK, "fine"), answer("h2", SKIPPED, "")];
    const url = await fakeServer(t, {
      alertRuns: {
        async *runAlert(request) {
          asked = request;
          yield* answers;
        },
      },
    });
    const well = await cli(["alert", "run", "p", "--hosts", "h[1,2]"], { server: url });
    assert.deepEqual(
      [well.exitCode, well.out],
      [0, "h1  OK  fine\nh2  SKIPPED\n1 OK, 1 SKIPPED\n"],
    );
    assert.deepEqual([asked?.name, asked?.hostNames], ["p", ["h[1,2]"]]);
    for (const bad of [WARNING, CRITICAL, UNKNOWN, UNSPECIFIED]) {
      answers = [answer("h1", OK, "fine"), answer("h2", bad, "why")];
      assert.equal((await cli(["alert", "run", "p"], { server: url })).exitCode, 1);
    }
    answers = [answer("", CRITICAL, "2 of\n3"), answer("h2", UNSPECIFIED, "it is not connected")];
    const { out } = await cli(["alert", "run", "p"], { server: url });
    assert.equal(
      out,
      "CRITICAL  2 of 3\nh2  NO ANSWER  it is not connected\n1 CRITICAL, 1 without an answer\n",
    );
    answers = [];
    assert.equal((await cli(["alert", "run", "p"], { server: url })).exitCode, 1);
  });

  it("passes on what the server refuses, with another exit code", async (t) => {
    const url = await fakeServer(t, {
      alertRuns: {
        // biome-ignore lint/correctness/useYield: it refuses
        async *runAlert() {
          throw new ConnectError("cluster demo has no alert p", Code.NotFound);
        },
      },
    });
    const { exitCode, err } = await cli(["alert", "run", "p"], { server: url });
    assert.deepEqual([exitCode, err], [4, "howdah: cluster demo has no alert p\n"]);
  });
});

describe("howdah alert set", () => {
  it("changes what is named and nothing else", async (t) => {
    let asked: UpdateAlertDefinitionRequest | undefined;
    const url = await fakeServer(t, {
      alerts: {
        updateAlertDefinition(request) {
          asked = request;
          return { definition: { ...definition, enabled: request.enabled ?? true } };
        },
      },
    });
    const folder = await mkdtemp(join(tmpdir(), "howdah-alert-"));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, "source.json");
    await writeFile(file, '{"type": "PORT"}');
    const set = (...args: string[]) => cli(["alert", "set", "nn_port", ...args], { server: url });
    const told = () => {
      const { $typeName: _, $unknown: __, ...rest } = asked ?? { $typeName: "", $unknown: [] };
      return rest;
    };
    const off = await set("--off");
    assert.deepEqual([off.exitCode, off.out], [0, "alert nn_port is off\n"]);
    assert.deepEqual(told(), { cluster: "", name: "nn_port", enabled: false });
    const more = await set("--interval", "1h", "--tolerance", "0", "--source", file, "--on");
    assert.equal(
      more.out,
      "alert nn_port is on, checked every 5 min, HARD after 3 checks in a row\n",
    );
    assert.deepEqual(told(), {
      ...{ cluster: "", name: "nn_port", enabled: true, intervalMinutes: 60, repeatTolerance: 0 },
      sourceJson: '{"type": "PORT"}',
    });
    asked = undefined;
    const cases: [string[], number, RegExp][] = [
      [[], 2, /say what to change: --on, --off, --interval, --tolerance or --source/],
      [["--on", "--off"], 2, /exclude each other/],
      [["--interval", "90s"], 2, /--interval: "90s" is no number of whole minutes/],
      [["--interval", "0m"], 2, /--interval: "0m"/],
      [["--tolerance", "101"], 2, /--tolerance: "101" is no whole number from 0 to 100/],
      [["--source", join(folder, "none.json")], 4, /--source: .*ENOENT/],
    ];
    for (const [args, code, text] of cases) {
      const { exitCode, err } = await set(...args);
      assert.equal(exitCode, code, args.join(" "));
      assert.match(err, text);
    }
    assert.equal(asked, undefined);
  });
});
