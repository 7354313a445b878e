import { create } from "@bufbuild/protobuf";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import {
  StackDefinition_Category as Category,
  type StackDefinition,
  StackDefinitionSchema,
} from "@howdah/proto/howdah/v1/stack";
import type { ClusterTopology } from "../planner/plan-input.js";

/** A script of a component. */
export const script = (name: string, timeoutSeconds = 0) => ({
  script: `scripts/${name}.py`,
  scriptType: ScriptType.PYTHON,
  timeoutSeconds,
});

/** A small stack with the rules that the planner's tests are about. */
export const stack: StackDefinition = create(StackDefinitionSchema, {
  name: "TINY",
  version: "1.0",
  hooksDigest: "hooks",
  services: [
    {
      name: "HDFS",
      packageDigest: "hdfs",
      serviceCheck: script("check", 300),
      components: [
        {
          name: "NAMENODE",
          category: Category.MASTER,
          commandScript: script("namenode", 1200),
          customCommands: [
            { name: "REBALANCE", commandScript: script("rebalance", 60), background: true },
            { name: "REFRESH" },
          ],
        },
        { name: "DATANODE", category: Category.SLAVE, commandScript: script("datanode", 3600) },
        { name: "JOURNALNODE", category: Category.SLAVE, commandScript: script("journal") },
        { name: "HDFS_CLIENT", category: Category.CLIENT, commandScript: script("client") },
      ],
    },
    {
      name: "ZOOKEEPER",
      packageDigest: "zookeeper",
      serviceCheck: script("check"),
      components: [
        { name: "ZOOKEEPER_SERVER", category: Category.MASTER, commandScript: script("server") },
      ],
    },
    { name: "BARE", components: [{ name: "BARE_SERVER", category: Category.MASTER }] },
  ],
  roleCommandOrder: [
    {
      name: "general_deps",
      rules: [
        { blocked: "DATANODE-START", blockers: ["NAMENODE-START"] },
        { blocked: "NAMENODE-STOP", blockers: ["DATANODE-STOP"] },
        { blocked: "HDFS_SERVICE_CHECK-SERVICE_CHECK", blockers: ["DATANODE-START"] },
        {
          blocked: "ZOOKEEPER_QUORUM_SERVICE_CHECK-SERVICE_CHECK",
          blockers: ["ZOOKEEPER_SERVER-START"],
        },
      ],
    },
    {
      name: "namenode_optional_ha",
      rules: [{ blocked: "NAMENODE-START", blockers: ["ZOOKEEPER_SERVER-START"] }],
    },
  ],
});

/** A cluster of it on h1, h2 and h3. */
export const cluster: ClusterTopology = {
  name: "c1",
  id: 7n,
  services: ["HDFS", "ZOOKEEPER"],
  components: new Map([
    ["NAMENODE", ["h1"]],
    ["DATANODE", ["h3", "h2", "h1"]],
    ["HDFS_CLIENT", ["h2", "h3"]],
    ["ZOOKEEPER_SERVER", ["h1"]],
  ]),
};
