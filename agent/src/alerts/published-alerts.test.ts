import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { AlertSourceType, ClusterAlertsSchema } from "@howdah/proto/howdah/v1/alert";
import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { checked } from "../testing/check-context.js";
import { scriptFiles } from "./script-file.js";

const published = fileURLToPath(new URL("../../../../shared/data/ambari", import.meta.url));

interface Published {
  readonly service: string;
  readonly name: string;
  readonly source: JsonObject;
}

/** Every definition below the folder. */
function definitionsBelow(folder: string): Published[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(({ name }) => name === "alerts.json")
    .flatMap((file) => {
      const services = JSON.parse(readFileSync(join(file.parentPath, file.name), "utf8"));
      return Object.entries(services as Record<string, Record<string, Published[]>>).flatMap(
        ([service, places]) =>
          Object.values(places)
            .flat()
            .map((definition) => ({ ...definition, service })),
      );
    });
}

const skip = existsSync(published) ? false : "skipped: no data";

const typeOf = ({ source }: Published) => AlertSourceType[source.type as "PORT"];

test("the definitions of a published stack are checked as they are", { skip }, async (t) => {
  const definitions = definitionsBelow(published);
  assert.ok(definitions.length > 50, String(definitions.length));

  // Whatever a bean is asked for, it has.
  const attributes = Object.fromEntries(
    definitions.flatMap(({ source: { jmx } }) => {
      const list = isJsonObject(jmx) ? (jmx.property_list as readonly string[]) : [];
      return list.map((property) => [basename(property), 12_345.678 as Json]);
    }),
  );
  attributes.NameDirStatuses = '{"failed":{"/grid/0":"x"},"active":{}}';
  const server = createServer((_, response) => {
    response.end(JSON.stringify({ beans: [attributes] }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === "object");

  // Whatever is configured, it is this server; but nothing chooses https.
  const configurations: Record<string, Record<string, string>> = {};
  for (const [, type = "", key = ""] of JSON.stringify(definitions).matchAll(
    /\{\{([^{}/]+)\/([^{}]+)\}\}/g,
  )) {
    configurations[type] = { ...configurations[type], [key]: `127.0.0.1:${bound.port}` };
  }
  const states = new Map<string, string>();
  for (const definition of definitions) {
    const type = typeOf(definition);
    if (type === AlertSourceType.SCRIPT || type === AlertSourceType.AGGREGATE) continue;
    states.set(definition.name, await checked(type, definition.source, configurations));
  }
  const unexpected = [...states].filter(([, text]) => !/^(OK|WARNING|CRITICAL) /.test(text));
  assert.deepEqual(unexpected, []);
  assert.equal(states.get("namenode_directory_status"), "CRITICAL Failed directory count: 1");
  assert.match(states.get("namenode_cpu") ?? "", /^CRITICAL 12345[.]678 CPU, load 1234567[.]8%$/);
});

test("the scripts of a published stack's alerts are looked for in the packages of their services", {
  skip,
}, () => {
  const scripts = definitionsBelow(published).filter(
    (definition) => typeOf(definition) === AlertSourceType.SCRIPT,
  );
  assert.ok(scripts.length > 20);
  for (const { service, name, source } of scripts) {
    const path = String(source.path);
    const [folder, inPackage] = path.split("/package/");
    const root = path.startsWith("AMBARI_") ? "common-services" : "stacks";
    const files = scriptFiles(path, {
      cluster: create(ClusterAlertsSchema, { packageDigests: { [service]: "d" } }),
      metadata: {
        serviceLevelParams: { [service]: { service_package_folder: `${root}/${folder}/package` } },
      },
      serviceName: service,
    });
    assert.deepEqual(files[0], { digest: "d", path: inPackage }, name);
  }
});
