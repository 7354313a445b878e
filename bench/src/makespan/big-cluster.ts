import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import {
  StackDefinition_Category as Category,
  type StackDefinition,
  StackDefinitionSchema,
} from "@howdah/proto/howdah/v1/stack";
import { loadStack } from "@howdah/stack/load-stack";
import type { BenchSystem } from "../system/bench-system.js";

/** Where a published stack lies beside this repository, when it does: it is not ours to ship. */
const bigtop = join(
  fileURLToPath(new URL("../../../..", import.meta.url)),
  "shared/data/ambari/stacks/BIGTOP/3.2.0",
);
/** So many hosts have no workers. */
const mastersOnly = 7;

/** On which hosts masters are, counted from 1; one that is not named is on the next of the first seven in turn. */
const places: Readonly<Record<string, readonly number[]>> = {
  ZOOKEEPER_SERVER: [1, 2, 3],
  JOURNALNODE: [1, 2, 3],
  NAMENODE: [1, 2],
  ZKFC: [1, 2],
  RESOURCEMANAGER: [3, 4],
  HBASE_MASTER: [4, 5],
  HIVE_METASTORE: [5, 6],
  HIVE_SERVER: [5, 6],
  INFRA_SOLR: [6, 7],
  SOLR_SERVER: [8, 9, 10, 11, 12],
  KAFKA_BROKER: [13, 14, 15, 16, 17],
  SPARK_THRIFTSERVER: [7],
};
/** With two NAMENODEs and JOURNALNODEs there is none; ROUTER is for a federation. */
const absent = new Set(["SECONDARY_NAMENODE", "ROUTER"]);
/** On every host. */
const everywhere = new Set(["METRICS_MONITOR"]);

/**
 * Pushes a stack and makes a cluster of all its services on these hosts; resolves with what stack it is, for people.
 * @param folder of a stack; when there is none, a stand-in is taken. Default: BIGTOP beside this repository
 */
export async function applyBigCluster(
  { stacks, fleet }: Pick<BenchSystem, "stacks" | "fleet">,
  hostNames: readonly string[],
  folder = bigtop,
): Promise<string> {
  const isThere = existsSync(folder);
  const stack = isThere
    ? (await loadStack(folder, { packages: false })).definition
    : standInStack();
  await stacks.pushStack({ stack });
  const name = `${stack.name}/${stack.version}`;
  await fleet.applyCluster({ name: "bench", stack: name, services: layOut(stack, hostNames) });
  return isThere ? name : `${name}, a stand-in: BIGTOP/3.2.0 is not beside this repository`;
}

function layOut(stack: StackDefinition, hostNames: readonly string[]) {
  let turn = 0;
  const hostsOf = (name: string, category: Category): readonly string[] => {
    const named = places[name];
    if (named !== undefined) return named.flatMap((number) => hostNames[number - 1] ?? []);
    if (everywhere.has(name) || category === Category.CLIENT) return hostNames;
    if (category === Category.SLAVE) return hostNames.slice(mastersOnly);
    turn += 1;
    return hostNames.slice(turn % mastersOnly, (turn % mastersOnly) + 1);
  };
  return stack.services.map(({ name, components }) => ({
    name,
    components: components.flatMap((component) =>
      absent.has(component.name)
        ? []
        : [
            {
              name: component.name,
              hostNames: [...hostsOf(component.name, component.category)],
            },
          ],
    ),
  }));
}

/** A stack of our own that is shaped like a Hadoop one: a long chain from the quorum to the last server, and workers on all hosts. */
function standInStack(): StackDefinition {
  const { MASTER, SLAVE, CLIENT } = Category;
  const commandScript = { script: "scripts/any.py", scriptType: ScriptType.PYTHON };
  const service = (name: string, components: Readonly<Record<string, Category>>) => ({
    name,
    serviceCheck: commandScript,
    components: Object.entries(components).map(([each, category]) => ({
      ...{ name: each, category, commandScript },
    })),
  });
  const after = (name: string, ...before: string[]) => ({
    blocked: `${name}-START`,
    blockers: before.map((each) => `${each}-START`),
  });
  const checkAfter = (name: string, ...before: string[]) => ({
    blocked: `${name}_SERVICE_CHECK-SERVICE_CHECK`,
    blockers: before.map((each) => `${each}-START`),
  });
  return create(StackDefinitionSchema, {
    ...{ name: "STANDIN", version: "1.0" },
    services: [
      service("QUORUM", { ZOOKEEPER_SERVER: MASTER, QUORUM_CLIENT: CLIENT }),
      service("FILES", { JOURNALNODE: SLAVE, ZKFC: SLAVE, NAMENODE: MASTER, DATANODE: SLAVE }),
      service("WORK", { RESOURCEMANAGER: MASTER, NODEMANAGER: SLAVE, HISTORYSERVER: MASTER }),
      service("TABLES", { HBASE_MASTER: MASTER, HBASE_REGIONSERVER: SLAVE }),
      service("QUERIES", { HIVE_METASTORE: MASTER, HIVE_SERVER: MASTER, WEBHCAT_SERVER: MASTER }),
      service("STREAMS", { KAFKA_BROKER: MASTER, SOLR_SERVER: MASTER }),
      service("MEASURES", { METRICS_MONITOR: SLAVE, METRICS_COLLECTOR: MASTER }),
    ],
    roleCommandOrder: [
      {
        name: "general_deps",
        rules: [
          after("ZKFC", "ZOOKEEPER_SERVER"),
          after("NAMENODE", "ZKFC", "JOURNALNODE"),
          after("DATANODE", "NAMENODE"),
          after("RESOURCEMANAGER", "DATANODE", "ZOOKEEPER_SERVER"),
          after("NODEMANAGER", "RESOURCEMANAGER"),
          after("HISTORYSERVER", "DATANODE"),
          after("HBASE_MASTER", "DATANODE", "ZOOKEEPER_SERVER"),
          after("HBASE_REGIONSERVER", "HBASE_MASTER"),
          after("HIVE_METASTORE", "NODEMANAGER"),
          after("HIVE_SERVER", "HIVE_METASTORE"),
          after("WEBHCAT_SERVER", "HIVE_SERVER"),
          after("KAFKA_BROKER", "ZOOKEEPER_SERVER", "NAMENODE"),
          after("SOLR_SERVER", "ZOOKEEPER_SERVER"),
          after("METRICS_COLLECTOR", "NAMENODE", "DATANODE"),
          checkAfter("FILES", "NAMENODE", "DATANODE"),
          checkAfter("WORK", "NODEMANAGER", "RESOURCEMANAGER"),
          checkAfter("TABLES", "HBASE_REGIONSERVER"),
          checkAfter("QUERIES", "HIVE_SERVER", "WEBHCAT_SERVER"),
        ],
      },
    ],
  });
}
