import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { LeaseSchema } from "@howdah/proto/howdah/v1/store_leases";
import { LeaseWatch } from "./lease-watch.js";

const lease = (name: string, counter: number, token = 1) =>
  create(LeaseSchema, {
    ...{ name, token: BigInt(token), counter: BigInt(counter), durationMs: 60n },
  });

describe("LeaseWatch", () => {
  it("should call a lease expired that stood still for its duration", () => {
    const watch = new LeaseWatch();
    watch.look([lease("still", 1), lease("renewed", 1), lease("taken", 1)], 0);
    watch.look([lease("still", 1), lease("renewed", 2), lease("taken", 1, 2)], 50);
    assert.deepEqual(watch.expired(60), []);
    assert.deepEqual(watch.expired(61), [{ name: "still", token: 1n, counter: 1n }]);
    // Whether it stood still since is not known before it is looked at again.
    watch.look([lease("still", 2)], 62);
    assert.deepEqual(watch.expired(100), []);
  });

  it("should count anew after the store was away", () => {
    const watch = new LeaseWatch();
    watch.look([lease("still", 1)], 0);
    watch.restart();
    watch.look([lease("still", 1)], 55);
    assert.deepEqual(watch.expired(100), []);
    assert.equal(watch.expired(116).length, 1);
  });
});
