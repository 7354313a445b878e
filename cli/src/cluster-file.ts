import { create } from "@bufbuild/protobuf";
import { type ClusterComponent, ClusterComponentSchema } from "@howdah/proto/howdah/v1/fleet";
import {
  type ApplyClusterRequest,
  ApplyClusterRequestSchema,
} from "@howdah/proto/howdah/v1/fleet_service";
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from "yaml";
import { CliError } from "./cli-error.js";
import { expandHostPattern } from "./host-pattern.js";

/**
 * Reads a cluster from YAML or JSON: `name`, `stack`, `services` (service to component to hosts) and `configurations`
 * (type to properties). A component may be a mapping instead: `hosts`, and `auto_start: true` or `false`, which is otherwise as the
 * stack says. A host may stand for several, as `db-[01-20]`. Throws CliError of one line that begins with
 * FILE:LINE.
 */
export function parseClusterFile(content: string, file: string): ApplyClusterRequest {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, uniqueKeys: true });
  const lineOf = (node: Node | null | undefined) => lines.linePos(node?.range?.[0] ?? 0).line;
  const refuse = (line: number, problem: string) => new CliError(`${file}:${line}: ${problem}`);

  const [error] = document.errors;
  if (error !== undefined) {
    const [summary = ""] = error.message.split("\n");
    const line = lines.linePos(error.pos[0]).line;
    throw refuse(line, summary.replace(/ at line \d+, column \d+:?$/, ""));
  }

  /** The entries of a mapping; none where there is nothing. */
  function entries(node: unknown, what: string, shape: string) {
    if (node === null || node === undefined || (isScalar(node) && node.value === null)) return [];
    if (!isMap(node)) throw refuse(lineOf(node as Node), `${what} must be a mapping: ${shape}`);
    return (node as YAMLMap<Node, Node | null>).items.map(({ key, value }) => {
      const name = isScalar(key) ? sourceOf(key.value, key.source) : undefined;
      if (name === undefined) throw refuse(lineOf(key), `${what} has a key that is no text`);
      return { name, value, line: lineOf(key) };
    });
  }

  function text(node: unknown, what: string, line: number): string {
    const value = isScalar(node) ? sourceOf(node.value, node.source) : undefined;
    if (value === undefined) throw refuse(line, `${what} must be a text or a number`);
    return value;
  }

  function hosts(node: unknown, component: string, line: number): string[] {
    const shape = "list its hosts, such as [host1, host2] or db-[01-20]";
    const items = isSeq(node) ? node.items : [node];
    const names = items.flatMap((item) => {
      if (!isScalar(item) || typeof item.value !== "string") {
        // [db-[01-20]] is a list in a list for YAML.
        throw refuse(line, `${component}: ${shape}; a name with brackets needs quotes in a list`);
      }
      try {
        return expandHostPattern(item.value);
      } catch (problem) {
        throw refuse(lineOf(item), `${component}: ${(problem as Error).message}`);
      }
    });
    if (names.length === 0) throw refuse(line, `${component} has no host; ${shape}`);
    return names;
  }

  /** Its hosts, or `{hosts: …, auto_start: …}`. */
  function component(name: string, node: unknown, line: number): ClusterComponent {
    const made = create(ClusterComponentSchema, { name });
    if (!isMap(node)) return Object.assign(made, { hostNames: hosts(node, name, line) });
    const inside = "hosts: [HOST, …], auto_start: true or false";
    for (const each of entries(node, name, inside)) {
      if (each.name === "hosts") made.hostNames = hosts(each.value, name, each.line);
      else if (each.name === "auto_start") made.autoStart = flag(each.value, name, each.line);
      else throw refuse(each.line, `${name}: there is no "${each.name}"; it has ${inside}`);
    }
    if (made.hostNames.length === 0) throw refuse(line, `${name}: "hosts" is missing`);
    return made;
  }

  function flag(node: unknown, component: string, line: number): boolean {
    if (isScalar(node) && typeof node.value === "boolean") return node.value;
    throw refuse(line, `${component}: auto_start must be true or false`);
  }

  const request = create(ApplyClusterRequestSchema);
  const shape = "name, stack, services, configurations";
  for (const { name, value, line } of entries(document.contents, "a cluster file", shape)) {
    if (name === "name") request.name = text(value, "name", line);
    else if (name === "stack") request.stack = text(value, "stack", line);
    else if (name === "services") {
      request.services = entries(value, "services", "SERVICE: {COMPONENT: [HOST, …]}").map(
        (service) => ({
          $typeName: "howdah.v1.ClusterService",
          name: service.name,
          components: entries(service.value, service.name, "COMPONENT: [HOST, …]").map((each) =>
            component(each.name, each.value, each.line),
          ),
        }),
      );
    } else if (name === "configurations") {
      for (const type of entries(value, "configurations", "TYPE: {PROPERTY: VALUE}")) {
        const properties: Record<string, string> = {};
        for (const property of entries(type.value, type.name, "PROPERTY: VALUE")) {
          properties[property.name] = text(property.value, property.name, property.line);
        }
        request.configurations[type.name] = {
          $typeName: "howdah.v1.ConfigurationValues",
          properties,
        };
      }
    } else throw refuse(line, `there is no "${name}" in a cluster file; it has ${shape}`);
  }
  for (const name of ["name", "stack"] as const) {
    if (request[name] === "") throw refuse(1, `"${name}" is missing; a cluster file has ${shape}`);
  }
  return request;
}

/** A scalar as it was written: 0644 and 1.10 are texts to whoever reads them later. */
function sourceOf(value: unknown, source: string | undefined): string | undefined {
  if (typeof value === "string") return value;
  if (value === null || typeof value === "object") return undefined;
  return source ?? String(value);
}
