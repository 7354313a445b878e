import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sampleStack } from "../testing/sample-fleet.js";
import type { TypeContent } from "./cluster.js";
import { effectiveConfigurations, mask, maskSecrets } from "./cluster-configuration.js";

const given = (type: string, properties: Record<string, string>) => ({ [type]: { properties } });
const none = new Map<string, TypeContent>();

describe("effectiveConfigurations()", () => {
  it("takes the defaults of the stack and of the services, and puts the given values over them", () => {
    const { configurations, problems } = effectiveConfigurations(
      sampleStack(),
      new Set(["HDFS"]),
      given("hdfs-site", { "dfs.replication": "2", "dfs.new": "x" }),
      none,
    );
    assert.deepEqual(problems, []);
    assert.deepEqual([...configurations.keys()].sort(), ["cluster-env", "hdfs-site", "ssl-server"]);
    assert.deepEqual(configurations.get("hdfs-site"), {
      properties: { "dfs.blocksize": "1m", "dfs.new": "x", "dfs.replication": "2" },
      final: ["dfs.blocksize"],
      secret: [],
    });
    assert.deepEqual(configurations.get("ssl-server")?.secret, ["keystore.key"]);
  });

  it("allows a type of the cluster's own, and names that objects have by themselves", () => {
    const { configurations } = effectiveConfigurations(
      sampleStack(),
      new Set(),
      given("my-site", JSON.parse('{"__proto__":"a","constructor":"b"}') as Record<string, string>),
      none,
    );
    assert.deepEqual(Object.entries(configurations.get("my-site")?.properties ?? {}), [
      ["__proto__", "a"],
      ["constructor", "b"],
    ]);
  });

  it("keeps a secret that is given masked, and only a secret", () => {
    const current = new Map([
      ["ssl-server", { properties: { "keystore.key": "mine" }, final: [], secret: [] }],
    ]);
    const { configurations, problems } = effectiveConfigurations(
      sampleStack(),
      new Set(["HDFS"]),
      given("ssl-server", { "keystore.key": mask, "keystore.type": mask }),
      current,
    );
    assert.deepEqual(problems, []);
    assert.equal(configurations.get("ssl-server")?.properties["keystore.key"], "mine");
    assert.equal(configurations.get("ssl-server")?.properties["keystore.type"], mask);
  });

  it("refuses a masked secret that nobody knows", () => {
    const { problems } = effectiveConfigurations(
      sampleStack(),
      new Set(["HDFS"]),
      given("ssl-server", { "keystore.password": mask }),
      none,
    );
    assert.deepEqual(problems, [
      "configurations[ssl-server].properties[keystore.password]: ******** keeps a secret that the cluster has, and it has none; give its value",
    ]);
  });
});

describe("maskSecrets()", () => {
  it("masks what the stack declares and whatever is called a password, unless it is empty", () => {
    const properties = { key: "a", "db.Password": "b", empty_password: "", user: "c" };
    assert.deepEqual(maskSecrets({ properties, final: [], secret: ["key"] }), {
      key: mask,
      "db.Password": mask,
      empty_password: "",
      user: "c",
    });
  });
});
