import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseClusterFile } from "./cluster-file.js";
import { expandHostPattern } from "./host-pattern.js";

describe("parseClusterFile()", () => {
  it("reads JSON too, and values as they are written", () => {
    const cluster = parseClusterFile(
      '{"name": "demo", "stack": "HOWDAH", "configurations": {"a-env": {"mode": 0644, "on": true, "v": 1.10}}}',
      "c.json",
    );
    assert.deepEqual(cluster.configurations["a-env"]?.properties, {
      mode: "0644",
      on: "true",
      v: "1.10",
    });
  });

  it("reads whether a component is started by its agents, beside its hosts", () => {
    const { services } = parseClusterFile(
      "name: c\nstack: S\nservices:\n  A:\n    B: [h1]\n    C: {hosts: 'h[1-2]', auto_start: true}\n    D:\n      auto_start: false\n      hosts: [h1]\n    E: {hosts: h1}\n",
      "f",
    );
    assert.deepEqual(
      services[0]?.components.map(({ name, hostNames, autoStart }) => [name, hostNames, autoStart]),
      [
        ["B", ["h1"], undefined],
        ["C", ["h1", "h2"], true],
        ["D", ["h1"], false],
        ["E", ["h1"], undefined],
      ],
    );
  });

  it("says what is wrong, and on which line", () => {
    const head = "name: demo\nstack: S\n";
    const cases: [string, RegExp][] = [
      ["", /^f:1: "name" is missing/],
      ["name: demo\n", /^f:1: "stack" is missing/],
      ["name: a\nname: b\n", /^f:2: Map keys must be unique$/],
      [`${head}services: [A]\n`, /^f:3: services must be a mapping: SERVICE: \{COMPONENT/],
      [`${head}services:\n  A:\n    B: []\n`, /^f:5: B has no host; list its hosts/],
      [`${head}services:\n  A:\n    B: [1]\n`, /^f:5: B: list its hosts/],
      [`${head}services:\n  A:\n    B: [db-[1-2]]\n`, /^f:5: .*/],
      [`${head}services:\n  A:\n    B: web-*\n`, /^f:5: B: "web-\*" must name hosts one by one/],
      [`${head}services:\n  A:\n    B: {auto_start: true}\n`, /^f:5: B: "hosts" is missing/],
      [
        `${head}services:\n  A:\n    B: {hosts: h, auto_start: yes}\n`,
        /^f:5: B: auto_start must be true or false$/,
      ],
      [
        `${head}services:\n  A:\n    B: {hosts: h, start: true}\n`,
        /^f:5: B: there is no "start"; it has hosts: .* auto_start/,
      ],
      [`${head}configurations:\n  t: {p: [1]}\n`, /^f:4: p must be a text or a number/],
      [`${head}hosts: []\n`, /^f:3: there is no "hosts" in a cluster file; it has name, stack/],
    ];
    for (const [content, message] of cases) {
      assert.throws(
        () => parseClusterFile(content, "f"),
        (error: Error) => {
          assert.match(error.message, message);
          assert.ok(!error.message.includes("\n"));
          return true;
        },
        content,
      );
    }
  });
});

describe("expandHostPattern()", () => {
  it("names each host of a range or choice", () => {
    assert.deepEqual(expandHostPattern("host1"), ["host1"]);
    assert.deepEqual(expandHostPattern("db-[08-11]"), ["db-08", "db-09", "db-10", "db-11"]);
    assert.deepEqual(expandHostPattern("db-[9-10]"), ["db-9", "db-10"]);
    assert.deepEqual(expandHostPattern("[a,b]-[1-2].x"), ["a-1.x", "a-2.x", "b-1.x", "b-2.x"]);
  });

  it("refuses what stands for no fixed names", () => {
    for (const pattern of ["", "web-*", "db-[1", "db-]1", "db-[5-1]", "db-[]", "h[1-200][1-200]"]) {
      assert.throws(() => expandHostPattern(pattern), Error, pattern);
    }
  });
});
