import assert from "node:assert/strict";
import { test } from "node:test";
import { fillIn, lookUp } from "./placeholders.js";

const root = {
  configurations: { "hdfs-site": { a: "1", "x.y/z": "2", on: true }, empty: {} },
  clusterHostInfo: { namenode_hosts: ["h1"] },
  hostName: "h1",
};

test("placeholders are replaced, several of them, from the configurations or from the root", () => {
  assert.equal(fillIn("{{hdfs-site/a}}:{{hdfs-site/x.y/z}}", root), "1:2");
  assert.equal(fillIn("http://{{/hostName}}/", root), "http://h1/");
  assert.equal(fillIn("{{hdfs-site/on}}", root), "true");
  assert.equal(fillIn("plain", root), "plain");
  assert.equal(fillIn(8080, root), "8080");
  assert.deepEqual(lookUp(root, "hdfs-site"), root.configurations["hdfs-site"]);
  assert.deepEqual(lookUp(root, "/clusterHostInfo/namenode_hosts"), ["h1"]);
});

test("one that names nothing makes the whole nothing", () => {
  for (const template of [
    ...[
      "{{hdfs-site/b}}",
      "a{{hdfs-site/a}}{{core-site/a}}",
      "{{hdfs-site}}",
      "{{/configurations}}",
    ],
    ...["{{hdfs-site/constructor}}", "{{__proto__/toString}}", "{{hdfs-site/a/length}}"],
  ]) {
    assert.equal(fillIn(template, root), undefined, template);
  }
  assert.equal(fillIn(undefined, root), undefined);
  assert.equal(fillIn({ a: 1 }, root), undefined);
});

test("a text that would grow without end is none", () => {
  const big = { configurations: { t: { k: "x".repeat(100_000) } } };
  assert.equal(fillIn("{{t/k}}".repeat(1_000), big), undefined);
});
