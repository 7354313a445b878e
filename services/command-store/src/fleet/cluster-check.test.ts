import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ClusterServiceSchema } from "@howdah/proto/howdah/v1/fleet";
import { sampleStack } from "../testing/sample-fleet.js";
import { checkServices, placementsOf } from "./cluster-check.js";

type Placements = Record<string, [component: string, ...hosts: string[]][]>;

function services(placements: Placements) {
  return Object.entries(placements).map(([name, components]) =>
    create(ClusterServiceSchema, {
      name,
      components: components.map(([component, ...hostNames]) => ({ name: component, hostNames })),
    }),
  );
}

const hosts = new Set(["h1", "h2", "h3"]);
const check = (placements: Placements) =>
  checkServices(sampleStack(), services(placements), (name) => hosts.has(name));

const zookeeper: Placements = { ZOOKEEPER: [["ZOOKEEPER_SERVER", "h1"]] };
const good: Placements = {
  ...zookeeper,
  HDFS: [
    ["NAMENODE", "h1"],
    ["SECONDARY_NAMENODE", "h2"],
    ["DATANODE", "h1", "h2", "H3"],
  ],
};

describe("checkServices()", () => {
  const cases: [title: string, placements: Placements, problems: string[]][] = [
    ["a cluster that is right", good, []],
    ["a cluster without services", {}, []],
    [
      "an unknown service",
      { YARN: [] },
      ["services[YARN]: stack SAMPLE/1.0 has no such service; it has HDFS, ZOOKEEPER, MONITOR"],
    ],
    [
      "an unknown component",
      { ZOOKEEPER: [["ZOOKEEPER_SERVER", "h1"], ["KEEPER"]] },
      [
        "services[ZOOKEEPER].components[KEEPER]: ZOOKEEPER has no such component; it has ZOOKEEPER_SERVER",
      ],
    ],
    [
      "a component under another service",
      { ZOOKEEPER: [["ZOOKEEPER_SERVER", "h1"], ["DATANODE"]] },
      ["services[ZOOKEEPER].components[DATANODE]: belongs to HDFS; move it there"],
    ],
    [
      "unknown hosts",
      { ZOOKEEPER: [["ZOOKEEPER_SERVER", "h1", "h8", "h9"]] },
      [
        "services[ZOOKEEPER].components[ZOOKEEPER_SERVER].host_names: no agent has registered from h8, h9; check the names or start the agents",
      ],
    ],
    [
      "a host twice",
      { ZOOKEEPER: [["ZOOKEEPER_SERVER", "h1", "H1"]] },
      ["services[ZOOKEEPER].components[ZOOKEEPER_SERVER].host_names: h1 is there twice"],
    ],
    [
      "a component twice",
      { ZOOKEEPER: [["ZOOKEEPER_SERVER", "h1"], ["ZOOKEEPER_SERVER"]] },
      ["services[ZOOKEEPER].components[ZOOKEEPER_SERVER]: is there twice; join the two"],
    ],
    [
      "a required service that is missing; one that the stack does not have is not asked for",
      { HDFS: good.HDFS ?? [] },
      ["services[HDFS]: needs ZOOKEEPER in the same cluster; add ZOOKEEPER"],
    ],
    [
      "cardinality, of components that are not named too",
      {
        ...zookeeper,
        HDFS: [
          ["NAMENODE", "h1", "h2", "h3"],
          ["SECONDARY_NAMENODE", "h1", "h2"],
        ],
      },
      [
        "services[HDFS].components[NAMENODE].host_names: NAMENODE is on 3 hosts, may be on at most 2 hosts (cardinality 1-2)",
        "services[HDFS].components[SECONDARY_NAMENODE].host_names: SECONDARY_NAMENODE is on 2 hosts, may be on at most 1 host (cardinality 1)",
        "services[HDFS].components[DATANODE].host_names: DATANODE is on 0 hosts, needs at least 1 host (cardinality 1+)",
      ],
    ],
    [
      "a NameNode pair does without SECONDARY_NAMENODE",
      {
        ...zookeeper,
        HDFS: [
          ["NAMENODE", "h1", "h2"],
          ["DATANODE", "h1"],
        ],
      },
      [],
    ],
    [
      "a component that must be on all hosts of the cluster",
      { ...good, MONITOR: [["PROBE", "h1", "h2"]] },
      [
        "services[MONITOR].components[PROBE].host_names: PROBE is on 2 hosts, must be on all 3 of the cluster (cardinality ALL)",
      ],
    ],
  ];
  for (const [title, placements, problems] of cases) {
    it(title, () => assert.deepEqual(check(placements), problems));
  }

  it("a service twice", () => {
    const twice = [...services(zookeeper), ...services({ ZOOKEEPER: [] })];
    assert.deepEqual(
      checkServices(sampleStack(), twice, () => true),
      ["services[ZOOKEEPER]: is there twice; join the two"],
    );
  });
});

describe("placementsOf()", () => {
  it("sorts, puts host names in lower case and in natural order, and drops components without hosts", () => {
    const placements = placementsOf(
      services({ B: [["Y", "h10", "H2"], ["X", "h1"], ["Z"]], A: [["W", "h1"]] }),
    );
    const stated = { autoStart: undefined };
    assert.deepEqual(placements, [
      { service: "A", component: "W", hostNames: ["h1"], ...stated },
      { service: "B", component: "X", hostNames: ["h1"], ...stated },
      { service: "B", component: "Y", hostNames: ["h2", "h10"], ...stated },
    ]);
  });
});
