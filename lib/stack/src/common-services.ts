import { join } from "node:path";
import { listFolders, readTextIfPresent } from "./read-file.js";
import { inheritService, type RawService, readServiceFolder } from "./read-service.js";
import { parseServiceMetainfo } from "./service-metainfo.js";
import { InheritanceCycleError, StackError } from "./stack-error.js";

/** Finds the parent that a service names with `extends`, with all that the parent inherits in turn. */
export type FindParent = (service: RawService) => Promise<RawService>;

/**
 * Opens the common services below a folder. They lie in `NAME/VERSION`; a folder may describe several services, so one
 * without a folder of its own is looked for by its name and `<version>`.
 */
export function openCommonServices(root: string): FindParent {
  const resolve = async (child: RawService, chain: readonly string[]): Promise<RawService> => {
    const reference = child.extends ?? "";
    const [, name, version] = /^common-services\/([^/]+)\/([^/]+)$/.exec(reference) ?? [];
    if (!name || !version) {
      throw new StackError(
        child.file,
        `service ${child.name} extends ${reference}, which must read common-services/NAME/VERSION`,
        child.line,
      );
    }
    if (chain.includes(reference)) {
      throw new InheritanceCycleError(child.file, [
        ...chain.slice(chain.indexOf(reference)),
        reference,
      ]);
    }
    const folder = (await folderOf(root, name, version)) ?? "";
    const services = folder
      ? await readServiceFolder(join(root, folder), `common-services/${folder}`)
      : [];
    const found = services.find((each) => each.name === name);
    if (!found) {
      throw new StackError(
        child.file,
        `service ${child.name} extends ${reference}, which is not below ${root}`,
        child.line,
      );
    }
    if (found.extends === undefined) return found;
    return inheritService(await resolve(found, [...chain, reference]), found);
  };
  return (service) => resolve(service, []);
}

/** The folder, relative to the root, that describes a service in a version. */
async function folderOf(root: string, name: string, version: string): Promise<string | undefined> {
  if ((await readTextIfPresent(join(root, name, version, "metainfo.xml"))) !== undefined) {
    return `${name}/${version}`;
  }
  for (const other of await listFolders(root)) {
    for (const folder of await listFolders(join(root, other))) {
      const file = join(root, other, folder, "metainfo.xml");
      const content = await readTextIfPresent(file);
      // Most files name other services only; they need no parsing.
      if (!content?.includes(name)) continue;
      const services = parseServiceMetainfo(content, file);
      if (services.some((each) => each.name === name && each.version === version)) {
        return `${other}/${folder}`;
      }
    }
  }
  return undefined;
}
