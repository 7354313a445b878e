import assert from "node:assert/strict";
import { test } from "node:test";
import { packageListOf, systemNames } from "./os-packages.js";

test("the packages of a service are those for any system and for this host's", () => {
  const entry = (osFamilies: string[], ...names: string[]) => ({
    osFamilies,
    packages: names.map((name) => ({ name, condition: "", skipUpgrade: false })),
  });
  const metadata = {
    osPackages: {
      HDFS: [
        entry(["any"], "rpcbind"),
        entry(["redhat7", "redhat8"], "hadoop"),
        entry(["ubuntu22"], "libhadoop"),
      ],
    },
  };
  const namesFor = (...system: string[]) => {
    const list = packageListOf(metadata, "HDFS", system);
    return (JSON.parse(list ?? "[]") as { name: string }[]).map(({ name }) => name);
  };
  assert.deepEqual(namesFor("redhat8", "rocky8"), ["rpcbind", "hadoop"]);
  assert.deepEqual(namesFor("ubuntu22"), ["rpcbind", "libhadoop"]);
  assert.deepEqual(namesFor("debian12"), ["rpcbind"]);
  assert.equal(packageListOf(metadata, "YARN", []), undefined);
  assert.equal(packageListOf({}, "HDFS", []), undefined);
  const rocky = { operatingsystem: "rocky", operatingsystemrelease: "8.9", osfamily: "redhat" };
  assert.deepEqual(systemNames(rocky), ["redhat8", "rocky8"]);
});
