import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { HostSelectorSchema } from "@howdah/proto/howdah/v1/operation";
import { compileHostSelector } from "./host-selector.js";

const selected = (names: string[], host: string, labels = {}, wanted = {}) =>
  compileHostSelector(create(HostSelectorSchema, { names, labels: wanted })).matches(host, labels);

describe("compileHostSelector()", () => {
  const cases: [pattern: string, fitting: string[], others: string[]][] = [
    ["web-1", ["web-1"], ["web-10", "aweb-1", "web-"]],
    ["WEB-1.Example", ["web-1.example"], []],
    ["*", ["a", "web-1.example"], []],
    ["web-*", ["web-", "web-1", "web-1.example"], ["we", "aweb-1"]],
    ["*.example", ["a.example", ".example"], ["example", "a.example.org"]],
    ["web-?", ["web-1"], ["web-", "web-12"]],
    ["*a*b*", ["ab", "xaxbx", "aab"], ["ba", "a"]],
    ["web-[01-20]", ["web-01", "web-09", "web-20"], ["web-1", "web-00", "web-21", "web-001"]],
    ["web-[1-20]", ["web-1", "web-20"], ["web-01", "web-0", "web-21"]],
    ["web-[8-11]", ["web-8", "web-10"], ["web-08", "web-7", "web-12"]],
    ["web-[08-110]", ["web-08", "web-99", "web-100"], ["web-8", "web-008", "web-111"]],
    ["r[1-2]n[01-03]", ["r1n01", "r2n03"], ["r3n01", "r1n1", "r1n04"]],
    ["[1-2][1-12]", ["11", "212"], ["31", "1"]],
    ["*[1-3]", ["a12", "3"], ["a14", "a"]],
    ["web-[1-3,7,10-12].x", ["web-2.x", "web-7.x", "web-11.x"], ["web-8.x", "web-2"]],
    ["db-[a,b]", ["db-a", "db-b"], ["db-c", "db-ab"]],
    ["db-[5]", ["db-5"], ["db-55"]],
    ["a,b-*", ["a", "b-1"], ["b", "a-1"]],
    [" a , b ", ["a", "b"], [" a"]],
  ];
  for (const [pattern, fitting, others] of cases) {
    it(`reads ${pattern}`, () => {
      for (const host of fitting) assert.ok(selected([pattern], host), host);
      for (const host of others) assert.ok(!selected([pattern], host), host);
    });
  }

  it("selects every host without names, and one that fits any of several", () => {
    assert.ok(compileHostSelector(undefined).matches("a", {}));
    assert.ok(selected([], "a"));
    assert.ok(selected(["x", "a*"], "ab"));
  });

  it("asks for all labels; an empty value means any", () => {
    assert.ok(selected([], "a", { rack: "1", role: "db" }, { rack: "1", role: "" }));
    assert.ok(!selected([], "a", { rack: "2", role: "db" }, { rack: "1", role: "" }));
    assert.ok(!selected([], "a", { rack: "1" }, { rack: "1", role: "" }));
    assert.ok(!selected([], "a", {}, { constructor: "" }));
    assert.ok(!selected(["b"], "a", { rack: "1" }, { rack: "1" }));
  });

  it("offers plain names for a look-up, and only those", () => {
    const names = (...patterns: string[]) =>
      compileHostSelector(create(HostSelectorSchema, { names: patterns })).exactNames;
    assert.deepEqual(names("A,b", "c.x"), ["a", "b", "c.x"]);
    assert.equal(names("a", "b*"), undefined);
    assert.equal(names("b[1-2]"), undefined);
    assert.equal(names(), undefined);
  });

  it("names a pattern that it cannot read", () => {
    const wrong: [pattern: string, part: RegExp][] = [
      ["", /"" has an empty name/],
      ["a,,b", /"a,,b" has an empty name/],
      ["a b", /"a b" has a character/],
      ["a{1,2}", /has a character/],
      ["web-[1-3", /web-\[1-3 has a \[ without its partner/],
      ["web-1]", /web-1\] has a \] without its partner/],
      ["web-[abc]", /web-\[abc\]: \[abc\] is neither/],
      ["web-[]", /\[\] is neither/],
      ["web-[a-c]", /\[a-c\] is neither/],
      ["web-[3-1]", /3 is above 1; swap them/],
      ["web-[1-03]", /same number of digits/],
      ["x".repeat(1001), /1001 characters/],
    ];
    for (const [pattern, part] of wrong) assert.throws(() => selected([pattern], "a"), part);
  });

  it("takes no long time over any pattern", () => {
    const start = process.cpuUsage();
    assert.ok(!selected([`${"*a".repeat(400)}b`], "a".repeat(255)));
    assert.ok(process.cpuUsage(start).user < 2_000_000, "two seconds of processor time");
  });
});
