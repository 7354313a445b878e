import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import {
  type AlertDefinitionSchema,
  type AlertResultSchema,
  AlertSourceType,
  AlertState,
} from "@howdah/proto/howdah/v1/alert";
import {
  AlertRunService,
  AlertService,
  type RunAlertResponse,
} from "@howdah/proto/howdah/v1/alert_service";
import {
  ExecuteAlertResponseSchema,
  SessionSchema,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import { ClusterSchema } from "@howdah/proto/howdah/v1/fleet";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import {
  EvaluateServerAlertsResponseSchema,
  ListAlertTargetsResponseSchema,
} from "@howdah/proto/howdah/v1/store_alerts";
import { pino } from "pino";
import type { AlertExecution } from "../engine/dispatcher-link.js";
import { fakeFleet } from "../testing/fake-fleet.js";
import { fails, host } from "../testing/service.js";
import { createAlertRunService } from "./alert-run-service.js";
import { AlertWatch } from "./alert-watch.js";

type Definition = MessageInitShape<typeof AlertDefinitionSchema>;

const hdfs = { enabled: true, serviceName: "HDFS", sourceType: AlertSourceType.PORT };
const definitions: Definition[] = [
  { ...hdfs, definitionId: 1n, name: "datanode_port", componentName: "DATANODE" },
  { ...hdfs, definitionId: 2n, name: "hdfs_any" },
  { ...hdfs, definitionId: 3n, name: "disk", serviceName: "AMBARI", componentName: "AMBARI_AGENT" },
  { ...hdfs, definitionId: 4n, name: "off", enabled: false },
  { ...hdfs, definitionId: 5n, name: "share", sourceType: AlertSourceType.AGGREGATE },
  { ...hdfs, definitionId: 6n, name: "nowhere", componentName: "ZKFC" },
];

/** The service over a cluster c1: the NameNode on h1, DataNodes on h2 and h3; h4 is in no service, h5 not in the cluster. */
function serve({ leads = true, knowsSessions = true } = {}) {
  const world = {
    /** What dispatchers were asked: `DISPATCHER NAME HOST,HOST`. */
    asked: [] as string[],
    /** What an agent finds; "OK" when it is not said. */
    results: new Map<bigint, MessageInitShape<typeof AlertResultSchema> | string>(),
    /** Dispatchers that go away after their first answer. */
    dies: new Set<string>(),
    /** Signals of the calls to dispatchers. */
    signals: [] as AbortSignal[],
    hold: undefined as Promise<void> | undefined,
    evaluated: [
      { definitionId: 5n, state: AlertState.WARNING, text: "2 of 5" },
      { definitionId: 9n },
    ],
  };
  const components = [
    { name: "NAMENODE", hostNames: ["h1"] },
    { name: "DATANODE", hostNames: ["h2", "h3"] },
  ];
  const cluster = create(ClusterSchema, {
    ...{ clusterId: 1n, name: "c1" },
    services: [{ name: "HDFS", components }],
  });
  const hosts = [1, 2, 3, 4, 5].map((id) => host(id, `h${id}`));
  const content = {
    hosts,
    clusters: [cluster],
    maintenance: [],
    hostComponents: [],
    stack: undefined,
  };
  const fleet = fakeFleet(
    { ...content, beforeMaintenance: () => undefined, reads: [] },
    () => undefined,
  );
  const transport = createRouterTransport(({ service }) => {
    service(FleetService, fleet);
    service(AlertService, {
      listAlertDefinitions({ cluster: of, name }) {
        if (of !== "c1") throw new ConnectError(`there is no cluster ${of}`, Code.NotFound);
        return { definitions: definitions.filter((one) => one.name === name) };
      },
    });
  });
  async function* execute(
    dispatcher: string,
    { name, hostIds }: AlertExecution,
    signal: AbortSignal,
  ) {
    world.asked.push(`${dispatcher} ${name} ${hostIds}`);
    world.signals.push(signal);
    for (const hostId of hostIds) {
      const said = world.results.get(hostId) ?? { state: AlertState.OK, text: "fine" };
      const answer = typeof said === "string" ? { reason: said } : { result: said };
      yield create(ExecuteAlertResponseSchema, { hostId, ...answer });
      await world.hold;
      if (world.dies.has(dispatcher)) throw new ConnectError("it is gone", Code.Unavailable);
    }
  }
  const alerts = { clusterId: 1n, clusterName: "c1", masterComponents: ["NAMENODE"] };
  const targets = { version: 1n, alerts, hostIds: [1n, 2n, 3n, 4n] };
  const watch = new AlertWatch({
    token: 1n,
    log: pino({ level: "silent" }),
    store: {
      listAlertTargets: async () =>
        create(ListAlertTargetsResponseSchema, { changed: [targets], clusterIds: [1n] }),
      evaluateServerAlerts: async () =>
        create(EvaluateServerAlertsResponseSchema, { results: world.evaluated }),
    },
    send: async () => true,
    execute,
  });
  for (const [id, dispatcher] of ["d1", "d1", "d2", "d2", "d1"].entries()) {
    const session = create(SessionSchema, { hostId: BigInt(id + 1), sessionEpoch: 1n });
    watch.places.opened(dispatcher, session);
  }
  if (knowsSessions) watch.sessionsTold();
  const service = createAlertRunService({
    alerts: createClient(AlertService, transport),
    fleet: createClient(FleetService, transport),
    leading: () => (leads ? watch : undefined),
  });
  const client = createClient(
    AlertRunService,
    createRouterTransport((router) => router.service(AlertRunService, service)),
  );
  /** Runs an alert; host, state and text of each answer, by host. */
  const run = async (name: string, hostNames: string[] = [], of = "c1") => {
    const answers: RunAlertResponse[] = [];
    for await (const one of client.runAlert({ cluster: of, name, hostNames })) answers.push(one);
    return answers
      .map(({ hostName, state, text }) => `${hostName} ${AlertState[state]} ${text}`)
      .sort();
  };
  return Object.assign(world, { watch, client, run });
}

test("an alert is run on the hosts that watch it, at their dispatchers", async () => {
  const world = serve();
  const critical = { state: AlertState.CRITICAL, text: "no connection" };
  world.results.set(3n, critical);
  assert.deepEqual(await world.run("datanode_port"), ["h2 OK fine", "h3 CRITICAL no connection"]);
  assert.deepEqual(world.asked.sort(), ["d1 datanode_port 2", "d2 datanode_port 3"]);
  // What is of a whole service is watched where a master of it is, what is of hosts on all of the cluster.
  assert.deepEqual(await world.run("hdfs_any"), ["h1 OK fine"]);
  assert.deepEqual(
    (await world.run("disk")).map((one) => one.slice(0, 2)),
    ["h1", "h2", "h3", "h4"],
  );
});

test("only where it is asked for", async () => {
  const world = serve();
  assert.deepEqual(await world.run("disk", ["h1", "h4"]), ["h1 OK fine", "h4 OK fine"]);
  assert.deepEqual(world.asked.sort(), ["d1 disk 1", "d2 disk 4"]);
});

test("who cannot be asked is answered with the reason", async () => {
  const world = serve();
  world.watch.places.closed(2n, 1n);
  world.results.set(3n, "its agent gave no answer within 2 s");
  assert.deepEqual(await world.run("datanode_port"), [
    "h2 UNSPECIFIED it is not connected",
    "h3 UNSPECIFIED its agent gave no answer within 2 s",
  ]);
  world.dies.add("d2");
  assert.deepEqual(await world.run("disk"), [
    "h1 OK fine",
    "h2 UNSPECIFIED it is not connected",
    "h3 UNSPECIFIED its agent gave no answer within 2 s",
    "h4 UNSPECIFIED its dispatcher could not be asked: it is gone",
  ]);
});

test("what the server finds out is asked of the store", async () => {
  const world = serve();
  assert.deepEqual(await world.run("share"), [" WARNING 2 of 5"]);
  world.evaluated.length = 0;
  assert.deepEqual(await world.run("share"), [" UNSPECIFIED the server did not find it out"]);
  assert.deepEqual(world.asked, []);
  await fails(
    world.run("share", ["h1"]),
    Code.InvalidArgument,
    /^host_names: the server finds out share/,
  );
});

test("what is not there is refused by its name", async () => {
  const { run } = serve();
  const { NotFound, InvalidArgument, FailedPrecondition } = Code;
  await fails(run(""), InvalidArgument, /^name: is empty$/);
  await fails(run("disk", [], "c2"), NotFound, /^there is no cluster c2$/);
  await fails(
    run("none"),
    NotFound,
    /^cluster c1 has no alert none; howdah alerts --definitions lists them$/,
  );
  await fails(
    run("off"),
    FailedPrecondition,
    /^alert off is switched off; howdah alert set off --on/,
  );
  await fails(run("nowhere"), FailedPrecondition, /^no host watches alert nowhere$/);
  await fails(
    run("disk", ["h9"]),
    InvalidArgument,
    /^host_names: no agent has ever registered as h9/,
  );
  await fails(
    run("datanode_port", ["h1"]),
    InvalidArgument,
    /^host_names: not watched there: datanode_port on h1$/,
  );
});

test("a standby says so, and one that knows no sessions yet; a caller that goes away ends the calls to the dispatchers", async (t) => {
  await fails(serve({ leads: false }).run("disk"), Code.Unavailable, /stands by/);
  const begun = serve({ knowsSessions: false });
  await fails(begun.run("disk"), Code.Unavailable, /knows no sessions yet/);
  begun.watch.sessionsTold();
  assert.equal((await begun.run("disk")).length, 4);
  const world = serve();
  let release = () => {};
  world.hold = new Promise((resolve) => {
    release = resolve;
  });
  t.after(() => release());
  const caller = new AbortController();
  const call = world.client.runAlert({ cluster: "c1", name: "disk" }, { signal: caller.signal });
  const messages = call[Symbol.asyncIterator]();
  await messages.next();
  caller.abort();
  await assert.rejects(messages.next());
  assert.deepEqual(
    world.signals.map(({ aborted }) => aborted),
    [true, true],
  );
});
