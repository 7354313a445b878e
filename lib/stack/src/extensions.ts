import { basename, dirname, join } from "node:path";
import type { FindParent } from "./common-services.js";
import { listFolders, readTextIfPresent } from "./read-file.js";
import type { RawService } from "./read-service.js";
import { readServices } from "./read-services.js";
import { InheritanceCycleError, StackError } from "./stack-error.js";
import { child, childFlag, children, childText, parseXml } from "./xml.js";

/** Extensions: services that are added to stacks from outside them, `extensions/NAME/VERSION/services`. */
export interface Extensions {
  /** Finds the parent of a service that extends `extensions/NAME/VERSION/SERVICE`, and any other as before. */
  readonly findParent: FindParent;
  /**
   * The services that a stack gets from extensions: of each that links itself the newest version that wants no newer stack, and of those
   * that are named, `NAME/VERSION`.
   */
  linked(
    stack: { readonly name: string; readonly version: string },
    named: readonly string[],
  ): Promise<RawService[]>;
}

interface Extension {
  readonly id: string;
  readonly file: string;
  readonly extends: string | undefined;
  readonly autoLink: boolean;
  /** The least version of each stack that it fits, by the stack's name. */
  readonly stacks: ReadonlyMap<string, string>;
}

/** Opens the extensions below a folder, which need not be there. */
export function openExtensions(root: string, findCommon: FindParent): Extensions {
  async function read(folder: string): Promise<Extension> {
    const id = `${basename(dirname(folder))}/${basename(folder)}`;
    const file = join(folder, "metainfo.xml");
    const content = await readTextIfPresent(file);
    if (content === undefined) {
      throw new StackError(
        file,
        "is missing; an extension is a folder NAME/VERSION with a metainfo.xml",
      );
    }
    const element = parseXml(content, file);
    const least = child(child(element, "prerequisites"), "min-stack-versions");
    return {
      ...{ id, file, extends: childText(element, "extends") },
      autoLink: childFlag(element, "auto-link"),
      stacks: new Map(
        children(least, "stack").map((each) => [
          childText(each, "name") ?? "",
          childText(each, "version") ?? "",
        ]),
      ),
    };
  }

  /** Its services, with those of the version that it extends. */
  async function servicesOf(
    extension: Extension,
    chain: readonly string[] = [],
  ): Promise<ReadonlyMap<string, RawService>> {
    const { id, file } = extension;
    if (chain.includes(id)) {
      throw new InheritanceCycleError(file, [...chain.slice(chain.indexOf(id)), id]);
    }
    const folder = dirname(file);
    const parent =
      extension.extends === undefined
        ? undefined
        : await servicesOf(await read(join(dirname(folder), extension.extends)), [...chain, id]);
    return readServices(folder, `extensions/${id}`, parent, findParent);
  }

  const underWay: string[] = [];
  const findParent: FindParent = async (service) => {
    const [, id, name] = /^extensions\/([^/]+\/[^/]+)\/([^/]+)$/.exec(service.extends ?? "") ?? [];
    if (id === undefined || name === undefined) return findCommon(service);
    const reference = service.extends ?? "";
    if (underWay.includes(reference)) {
      throw new InheritanceCycleError(service.file, [...underWay, reference]);
    }
    underWay.push(reference);
    try {
      const found = (await servicesOf(await read(join(root, id)))).get(name);
      if (found !== undefined) return found;
    } finally {
      underWay.pop();
    }
    const problem = `service ${service.name} extends ${reference}, which is not below ${root}`;
    throw new StackError(service.file, problem, service.line);
  };

  async function fitting(name: string, stack: { name: string; version: string }) {
    const versions = (await listFolders(join(root, name))).sort((a, b) => compareVersions(b, a));
    for (const version of versions) {
      if ((await readTextIfPresent(join(root, name, version, "metainfo.xml"))) === undefined) {
        continue;
      }
      const extension = await read(join(root, name, version));
      const least = extension.stacks.get(stack.name);
      if (!extension.autoLink || least === undefined) continue;
      if (compareVersions(stack.version, least) >= 0) return extension;
    }
    return undefined;
  }

  return {
    findParent,
    async linked(stack, named) {
      const extensions = new Map<string, Extension>();
      for (const name of await listFolders(root)) {
        const extension = await fitting(name, stack);
        if (extension !== undefined) extensions.set(name, extension);
      }
      for (const id of named) {
        const [name = "", version = ""] = id.split("/");
        extensions.set(name, await read(join(root, name, version)));
      }
      const services = new Map<string, RawService>();
      for (const extension of extensions.values()) {
        for (const [name, service] of await servicesOf(extension)) {
          const other = services.get(name);
          if (other !== undefined) {
            throw new StackError(
              service.file,
              `service ${name} is in ${other.file} already`,
              service.line,
            );
          }
          services.set(name, service);
        }
      }
      return [...services.values()];
    },
  };
}

/** By the numbers between the points; `*` counts as 0. */
function compareVersions(a: string, b: string): number {
  const numbers = (version: string) =>
    version.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0);
  const [left, right] = [numbers(a), numbers(b)];
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The stack's services with those of extensions, which may not take the place of one. */
export function withExtensions(
  services: ReadonlyMap<string, RawService>,
  linked: readonly RawService[],
): RawService[] {
  for (const service of linked) {
    const own = services.get(service.name);
    if (own === undefined) continue;
    const problem = `service ${service.name} is in the stack itself (${own.file}); an extension cannot replace it`;
    throw new StackError(service.file, problem, service.line);
  }
  return [...services.values(), ...linked];
}
