import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { loadStack } from "./load-stack.js";
import { StackError } from "./stack-error.js";
import { stackTree } from "./testing/stack-tree.js";

const service = (name: string, more = "") =>
  `<metainfo><services><service><name>${name}</name>${more}</service></services></metainfo>`;
const extension = (stack: string, least: string, more = "") =>
  `<metainfo><prerequisites><min-stack-versions><stack><name>${stack}</name><version>${least}</version></stack></min-stack-versions></prerequisites>${more}</metainfo>`;
const auto = "<auto-link>true</auto-link>";
const plain = {
  "stacks/S/3.2.0/metainfo.xml": "<metainfo/>",
  "stacks/S/3.2.0/services/OWN/metainfo.xml": service("OWN"),
};

/** Writes a tree and loads its stack. */
async function load(t: TestContext, files: Record<string, string>, extensions: string[] = []) {
  const tree = await stackTree(t, { ...plain, ...files });
  const { definition } = await loadStack(join(tree, "stacks/S/3.2.0"), { extensions });
  return definition.services;
}
const names = (services: { name: string }[]) => services.map(({ name }) => name);

test("an extension that links itself adds its services to the stacks that it fits, in its newest version that does", async (t) => {
  const services = await load(t, {
    "extensions/E/1.0/metainfo.xml": extension("S", "3.1.*", auto),
    "extensions/E/1.0/services/PLUG/metainfo.xml": service("PLUG"),
    "extensions/E/1.10/metainfo.xml": extension("S", "3.2.*", `${auto}<extends>1.0</extends>`),
    "extensions/E/1.10/services/MORE/metainfo.xml": service("MORE"),
    "extensions/E/1.10/services/MORE/package/scripts/more.py": "pass",
    "extensions/E/1.9/metainfo.xml": extension("S", "3.2.*", auto),
    "extensions/E/2.0/metainfo.xml": extension("S", "4.0", auto),
    "extensions/OTHER/1.0/metainfo.xml": extension("T", "1.0", auto),
    "extensions/OTHER/1.0/services/NOT/metainfo.xml": service("NOT"),
    "extensions/ASKED/1.0/metainfo.xml": extension("S", "1.0"),
    "extensions/ASKED/1.0/services/NOR/metainfo.xml": service("NOR"),
  });
  assert.deepEqual(names(services), ["MORE", "OWN", "PLUG"]);
  assert.equal(services[0]?.packageFolder, "extensions/E/1.10/services/MORE/package");
  assert.match(services[0]?.packageDigest ?? "", /^[0-9a-f]{64}$/);
});

test("an extension is linked when it is named, and its services may extend others", async (t) => {
  const files = {
    "extensions/E/1.0/metainfo.xml": extension("S", "1.0"),
    "extensions/E/1.0/services/PLUG/metainfo.xml": service(
      "PLUG",
      "<extends>extensions/BASE/1.0/ROOT</extends>",
    ),
    "extensions/E/1.0/services/KAFKA/metainfo.xml": service(
      "KAFKA",
      "<extends>common-services/KAFKA/1.0</extends>",
    ),
    "extensions/BASE/1.0/metainfo.xml": extension("S", "1.0"),
    "extensions/BASE/1.0/services/ROOT/metainfo.xml": service("ROOT", "<comment>root</comment>"),
    "common-services/KAFKA/1.0/metainfo.xml": service("KAFKA", "<comment>common</comment>"),
  };
  assert.deepEqual(names(await load(t, files)), ["OWN"]);
  const services = await load(t, files, ["E/1.0"]);
  assert.deepEqual(
    services.map(({ name, comment }) => [name, comment]),
    [
      ["KAFKA", "common"],
      ["OWN", ""],
      ["PLUG", "root"],
    ],
  );
});

test("what cannot be is told with its file", async (t) => {
  const fails = (files: Record<string, string>, extensions: string[], message: RegExp) =>
    assert.rejects(load(t, files, extensions), (error: Error) => {
      assert.ok(error instanceof StackError, String(error));
      assert.match(error.message, message);
      return true;
    });
  await fails({}, ["E/1.0"], /E\/1.0\/metainfo.xml: is missing; an extension is a folder/);
  const own = {
    "extensions/E/1.0/metainfo.xml": extension("S", "1.0", auto),
    "extensions/E/1.0/services/OWN/metainfo.xml": service("OWN"),
  };
  await fails(own, [], /service OWN is in the stack itself \(.*\); an extension cannot replace it/);
  const circle = {
    "extensions/E/1.0/metainfo.xml": extension("S", "1.0", "<extends>2.0</extends>"),
    "extensions/E/2.0/metainfo.xml": extension("S", "1.0", "<extends>1.0</extends>"),
  };
  await fails(circle, ["E/1.0"], /E\/1.0 extends E\/2.0 extends E\/1.0/);
  const itself = {
    "extensions/E/1.0/metainfo.xml": extension("S", "1.0"),
    "extensions/E/1.0/services/A/metainfo.xml": service(
      "A",
      "<extends>extensions/E/1.0/A</extends>",
    ),
  };
  await fails(itself, ["E/1.0"], /extensions\/E\/1.0\/A extends extensions\/E\/1.0\/A/);
  const missing = {
    ...itself,
    "extensions/E/1.0/services/A/metainfo.xml": service(
      "A",
      "<extends>extensions/X/1.0/A</extends>",
    ),
  };
  await fails(missing, ["E/1.0"], /X\/1.0\/metainfo.xml: is missing/);
});
