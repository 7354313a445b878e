import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { StackDefinitionSchema } from "@howdah/proto/howdah/v1/stack";
import type { ClusterContent } from "./cluster.js";
import { namedByProperties } from "./named-by-properties.js";

const userGroup = { type: "cluster-env", name: "user_group" };
const stack = create(StackDefinitionSchema, {
  configurationTypes: [
    {
      name: "cluster-env",
      properties: [
        { name: "user_group", types: ["GROUP"] },
        { name: "smokeuser", types: ["USER"], userGroups: [userGroup] },
      ],
    },
  ],
  services: [
    {
      name: "HDFS",
      configurationTypes: [
        {
          name: "hadoop-env",
          properties: [
            {
              name: "hdfs_user",
              types: ["USER"],
              userGroups: [userGroup, { type: "hdfs-site", name: "supergroup" }],
            },
            { name: "proxyuser", types: ["GROUP"] },
            { name: "hdfs_tmp_dir", types: ["NOT_MANAGED_HDFS_PATH"] },
          ],
        },
      ],
    },
    {
      name: "ABSENT",
      configurationTypes: [
        { name: "absent-env", properties: [{ name: "absent_user", types: ["USER"] }] },
      ],
    },
  ],
});

const type = (properties: Record<string, string>) => ({ properties, final: [], secret: [] });
const cluster: ClusterContent = {
  ...{ name: "c", stackName: "S", stackVersion: "1", services: ["HDFS"], placements: [] },
  configurations: new Map([
    ["cluster-env", type({ user_group: "hadoop", smokeuser: "qa" })],
    ["hadoop-env", type({ hdfs_user: "hdfs", proxyuser: "", hdfs_tmp_dir: "/tmp" })],
    ["hdfs-site", type({ supergroup: "admins" })],
    ["absent-env", type({ absent_user: "nobody" })],
  ]),
};

describe("namedByProperties()", () => {
  it("lists the users, their groups, groups and paths of the cluster's own services and values, once each", () => {
    assert.deepEqual(namedByProperties(cluster, stack), {
      user_list: '["hdfs","qa"]',
      group_list: '["hadoop"]',
      user_groups: '{"hdfs":["admins","hadoop"],"qa":["hadoop"]}',
      not_managed_hdfs_path_list: '["/tmp"]',
    });
  });

  it("is empty lists for a stack that names nothing", () => {
    assert.deepEqual(namedByProperties(cluster, create(StackDefinitionSchema)), {
      user_list: "[]",
      group_list: "[]",
      user_groups: "{}",
      not_managed_hdfs_path_list: "[]",
    });
  });
});
