import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ClusterSchema } from "@howdah/proto/howdah/v1/fleet";
import { clusterPage } from "./cluster.js";

describe("howdah cluster show", () => {
  const page = (...components: { name: string; autoStart?: boolean }[]) =>
    clusterPage(
      create(ClusterSchema, { name: "c1", stack: "S/1", services: [{ name: "HDFS", components }] }),
      [],
      { config: false, all: false },
    );

  it("says which components the agents start, as far as the cluster itself says so", () => {
    assert.match(
      page({ name: "NN", autoStart: true }, { name: "DN" }, { name: "JN", autoStart: false }),
      /\nauto start: NN on, JN off; else as the stack says\n/,
    );
    assert.doesNotMatch(page({ name: "DN" }), /auto start/);
  });
});
