import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type AlertDefinition, AlertScope, AlertSourceType } from "@howdah/proto/howdah/v1/alert";
import { parseAlerts } from "./alert-definitions.js";
import { loadStack } from "./load-stack.js";
import { StackError } from "./stack-error.js";

const source = { type: "PORT", uri: "{{x-site/port}}" };
const alert = (name: string, over: object = {}) => ({ name, source, ...over });
const json = (value: unknown) => JSON.stringify(value, undefined, 1);

describe("parseAlerts()", () => {
  const read = (over: object): AlertDefinition | undefined =>
    parseAlerts(json({ X: { X_SERVER: [alert("a", over)] } }), "alerts.json").get("X")?.[0];

  it("reads what is stated", () => {
    const definition = read({
      ...{ label: "A", description: "What it is.", interval: 5, scope: "HOST", enabled: false },
      ...{ ignore_host: true, help_url: "http://help", repeat_tolerance: 3 },
      repeat_tolerance_enabled: true,
    });
    assert.ok(definition);
    const { $typeName, ...fields } = definition;
    assert.deepEqual(fields, {
      ...{ definitionId: 0n, name: "a", label: "A", description: "What it is." },
      ...{ serviceName: "X", componentName: "X_SERVER", scope: AlertScope.HOST, uuid: "" },
      ...{ intervalMinutes: 5, enabled: false, ignoreHost: true, helpUrl: "http://help" },
      ...{ repeatTolerance: 3, sourceType: AlertSourceType.PORT },
      sourceJson: JSON.stringify(source),
    });
  });

  it("has Ambari's defaults for what is not", () => {
    const definition = read({});
    assert.deepEqual(
      [definition?.label, definition?.scope, definition?.intervalMinutes, definition?.enabled],
      ["a", AlertScope.ANY, 1, true],
    );
    assert.deepEqual([definition?.ignoreHost, definition?.repeatTolerance], [false, undefined]);
    assert.equal(read({ interval: 0 })?.intervalMinutes, 1);
    assert.equal(read({ interval: -5 })?.intervalMinutes, 1);
    assert.equal(read({ repeat_tolerance: 3 })?.repeatTolerance, undefined, "not enabled");
    assert.equal(read({ label: null })?.label, "a");
  });

  it("knows the service's own alerts from those of its components", () => {
    const file = json({ X: { service: [alert("a")], X_SERVER: [alert("b")] }, Y: { Z: [] } });
    const found = parseAlerts(file, "alerts.json");
    assert.deepEqual(
      found.get("X")?.map(({ name, componentName }) => [name, componentName]),
      [
        ["a", ""],
        ["b", "X_SERVER"],
      ],
    );
    assert.deepEqual(found.get("Y"), []);
  });

  const one = (over: unknown) => json({ X: { S: [over] } });
  const faults: [string, string, RegExp][] = [
    ["no JSON", "{", /^alerts\.json:1: malformed JSON/],
    ["a service that is no object", json({ X: [] }), /^alerts\.json:2: X must be an object/],
    ["a component that is no list", json({ X: { S: {} } }), /:3: S of X must have a list of alert/],
    ["a definition that is none", one("a"), /:3: alert definition 1 of X\/S must be an object/],
    ["no name", one({ source }), /:3: alert definition 1 of X\/S needs a name of at most 255/],
    ["a name that is too long", one(alert("x".repeat(256))), /1 of X\/S needs a name of at most/],
    ["a name with a line feed", one(alert("a\nb")), /1 of X\/S needs a name of at most/],
    [
      "a name that is there twice",
      json({ X: { S: [alert("a")] }, Y: { T: [alert("a")] } }),
      /alert definition a is there twice$/,
    ],
    [
      "an interval that is no number",
      one(alert("a", { interval: "5" })),
      /:5: alert definition a: interval "5" must be a whole number of at most 525600$/,
    ],
    ["half a minute", one(alert("a", { interval: 0.5 })), /interval 0\.5 must be a whole number/],
    ["an interval without end", one(alert("a", { interval: 1e9 })), /interval 1000000000 must be/],
    ["no source", one({ name: "a" }), /alert definition a: has no source$/],
    ["a source that is no object", one({ name: "a", source: [] }), /a: source \[\] is no object$/],
    [
      "no type",
      one({ name: "a", source: {} }),
      /source\.type \(none\) is none of PORT, WEB, METRIC/,
    ],
    [
      "an unknown type",
      one(alert("a", { source: { type: "JMX" } })),
      /source\.type "JMX" is none of/,
    ],
    [
      "a type by its number",
      one(alert("a", { source: { type: "1" } })),
      /source\.type "1" is none/,
    ],
    ["an unknown scope", one(alert("a", { scope: "ALL" })), /scope "ALL" is none of ANY, HOST/],
    [
      "a flag that is a text",
      one(alert("a", { enabled: "no" })),
      /enabled "no" is no true or false/,
    ],
    ["a label that is a number", one(alert("a", { label: 1 })), /label 1 must be a text/],
    [
      "a tolerance that is none",
      one(alert("a", { repeat_tolerance_enabled: true, repeat_tolerance: "x" })),
      /repeat_tolerance "x" must be a whole number of at most 100/,
    ],
    [
      "a source that is too long",
      one(alert("a", { source: { type: "PORT", uri: "x".repeat(65_536) } })),
      /its source is longer than 64 KiB/,
    ],
  ];
  for (const [what, content, message] of faults) {
    it(`names the file, the definition and what is wrong: ${what}`, () => {
      assert.throws(
        () => parseAlerts(content, "alerts.json"),
        (error: unknown) => {
          assert.ok(error instanceof StackError);
          assert.match(error.message, message);
          assert.ok(!error.message.includes("\n"));
          return true;
        },
      );
    });
  }
});

describe("loadStack()'s alerts", () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "alerts-"));
  });
  after(() => rm(root, { recursive: true, force: true }));

  const service = (name: string, more = "") =>
    `<metainfo><services><service><name>${name}</name>${more}</service></services></metainfo>`;
  const load = async (files: Record<string, string>) => {
    const tree = await mkdtemp(join(root, "tree-"));
    for (const [path, content] of Object.entries({
      "stacks/S/2/metainfo.xml": "<metainfo/>",
      ...files,
    })) {
      await mkdir(join(tree, path, ".."), { recursive: true });
      await writeFile(join(tree, path), content);
    }
    const { definition } = await loadStack(join(tree, "stacks/S/2"));
    const names = (all: readonly AlertDefinition[]) => all.map(({ name }) => name);
    return {
      own: names(definition.alertDefinitions),
      services: Object.fromEntries(
        definition.services.map(({ name, alertDefinitions }) => [name, names(alertDefinitions)]),
      ),
    };
  };

  it("come with each service, as a whole from the nearest file", async () => {
    const { services } = await load({
      "common-services/X/1/metainfo.xml": service("X", "<version>1</version>"),
      "common-services/X/1/alerts.json": json({ X: { service: [alert("common")] } }),
      "stacks/S/1/metainfo.xml": "<metainfo/>",
      "stacks/S/1/services/Y/metainfo.xml": service("Y"),
      "stacks/S/1/services/Y/alerts.json": json({ Y: { S: [alert("old"), alert("older")] } }),
      "stacks/S/1/services/Z/metainfo.xml": service("Z"),
      "stacks/S/1/services/Z/alerts.json": json({ Z: { S: [alert("inherited")] } }),
      "stacks/S/2/metainfo.xml": "<metainfo><extends>1</extends></metainfo>",
      "stacks/S/2/services/X/metainfo.xml": service("X", "<extends>common-services/X/1</extends>"),
      "stacks/S/2/services/Y/metainfo.xml": service("Y"),
      "stacks/S/2/services/Y/alerts.json": json({
        Y: { S: [alert("new")] },
        OTHER: { S: [alert("of another folder")] },
      }),
      "stacks/S/2/services/W/metainfo.xml": service("W"),
    });
    assert.deepEqual(services, { W: [], X: ["common"], Y: ["new"], Z: ["inherited"] });
  });

  it("come from beside the folder of stacks, else from inside, for the hosts", async () => {
    const file = (name: string) =>
      json({ AMBARI: { AMBARI_AGENT: [alert(name)] }, X: { Y: [alert("no")] } });
    const inside = { "stacks/alerts.json": file("inside") };
    assert.deepEqual((await load(inside)).own, ["inside"]);
    assert.deepEqual((await load({ ...inside, "alerts.json": file("beside") })).own, ["beside"]);
    assert.deepEqual((await load({})).own, []);
  });

  it("may be there once in a stack", async () => {
    const alerts = (name: string) => ({
      [`stacks/S/2/services/${name}/metainfo.xml`]: service(name),
      [`stacks/S/2/services/${name}/alerts.json`]: json({ [name]: { S: [alert("a")] } }),
    });
    await assert.rejects(load({ ...alerts("X"), ...alerts("Y") }), (error: Error) => {
      assert.match(
        error.message,
        /services\/Y\/alerts\.json: alert definition a is in .*\/X\/alerts\.json already$/,
      );
      return true;
    });
  });

  const repository = join(import.meta.dirname, "../../..");

  it("are there for the hosts of the stack that ships, with their scripts", async () => {
    const stack = join(repository, "stacks/HOWDAH/1.0");
    const { definition, packages } = await loadStack(stack);
    assert.deepEqual(
      definition.alertDefinitions.map(({ name }) => name),
      [
        ...["ambari_agent_disk_usage", "ambari_agent_ulimit", "ambari_server_agent_heartbeat"],
        ...["ambari_server_stale_alerts", "ambari_server_performance"],
      ],
    );
    const scripts = packages.find(({ digest }) => digest === definition.hostScriptsDigest);
    assert.ok(scripts);
    for (const { sourceType, sourceJson } of definition.alertDefinitions) {
      if (sourceType !== AlertSourceType.SCRIPT) continue;
      const { path } = JSON.parse(sourceJson) as { path: string };
      assert.ok(existsSync(join(scripts.folder, "..", path)), path);
    }
  });

  it("are there for the service of the stack that ships, with their script and what is counted", async () => {
    const stack = join(repository, "stacks/HOWDAH/1.0");
    const { definition, packages } = await loadStack(stack);
    const [service, ...more] = definition.services;
    assert.ok(service && more.length === 0);
    const { alertDefinitions } = service;
    assert.deepEqual(
      alertDefinitions.map((one) => [one.name, one.componentName, AlertSourceType[one.sourceType]]),
      [
        ["mariadb_replicas_percent", "", "AGGREGATE"],
        ["mariadb_primary_answers", "MARIADB_PRIMARY", "SCRIPT"],
        ["mariadb_replica_answers", "MARIADB_REPLICA", "SCRIPT"],
      ],
    );
    const scripts = packages.find(({ digest }) => digest === service.packageDigest);
    assert.ok(scripts);
    const [counted, ...checked] = alertDefinitions.map(({ sourceJson }) => JSON.parse(sourceJson));
    assert.equal(counted.alert_name, "mariadb_replica_answers");
    for (const { path } of checked) {
      const [, file = ""] = String(path).split("HOWDAH/1.0/services/MARIADB/package/");
      assert.ok(file !== "" && existsSync(join(scripts.folder, file)), path);
    }
    const recovered = service.components.filter(({ recoveryEnabled }) => recoveryEnabled);
    assert.deepEqual(
      recovered.map(({ name }) => name),
      ["MARIADB_PRIMARY", "MARIADB_REPLICA"],
    );
    // For the whole cluster it is off until somebody says otherwise.
    const cluster = definition.configurationTypes.find(({ name }) => name === "cluster-env");
    assert.ok(cluster?.properties.every(({ name }) => name !== "recovery_enabled"));
  });

  const bigtop = join(repository, "../shared/data/ambari/stacks/BIGTOP/3.2.0");
  const skip = existsSync(bigtop) ? false : "skipped: no data";
  it("are all read of a published Ambari stack", { skip }, async () => {
    const { definition } = await loadStack(bigtop, { packages: false });
    const counts = new Map<string, number>();
    for (const { alertDefinitions } of definition.services) {
      for (const { sourceType } of alertDefinitions) {
        const type = AlertSourceType[sourceType] ?? "";
        counts.set(type, (counts.get(type) ?? 0) + 1);
      }
    }
    // One more SCRIPT is written down for a service of another folder, where Ambari does not look for it either.
    assert.deepEqual(Object.fromEntries(counts), {
      ...{ AGGREGATE: 7, METRIC: 15, PORT: 12, RECOVERY: 1, SCRIPT: 27, WEB: 11 },
    });
  });
});
