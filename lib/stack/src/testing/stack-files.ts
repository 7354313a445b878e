import { join } from "node:path";
import type { TestContext } from "node:test";
import { loadStack } from "../load-stack.js";
import { stackTree } from "./stack-tree.js";

/** A stack's `metainfo.xml`. */
export const stackMeta = (parent?: string) =>
  `<metainfo>${parent === undefined ? "" : `<extends>${parent}</extends>`}</metainfo>`;
/** A `metainfo.xml` of these services. */
export const serviceMeta = (...services: string[]) =>
  `<metainfo><services>${services.map((each) => `<service>${each}</service>`).join("")}</services></metainfo>`;
/** A `commandScript` in Python. */
export const script = (name: string, more = "") =>
  `<commandScript><script>${name}</script><scriptType>PYTHON</scriptType>${more}</commandScript>`;
/** A property of a configuration type. */
export const property = (name: string, value: string, more = "") =>
  `<property><name>${name}</name><value>${value}</value>${more}</property>`;
/** A configuration type's file. */
export const configuration = (...properties: string[]) =>
  `<configuration>${properties.join("")}</configuration>`;

/** A stack S/1 with a service folder X that has these services. */
export const withService = (...services: string[]) => ({
  "stacks/S/1/metainfo.xml": stackMeta(),
  "stacks/S/1/services/X/metainfo.xml": serviceMeta(...services),
});

/** Writes a tree until the test ends, and loads its stack. */
export async function loadTree(t: TestContext, files: Record<string, string>, stack = "S/1") {
  const tree = await stackTree(t, files);
  return { tree, ...(await loadStack(join(tree, "stacks", stack))) };
}
