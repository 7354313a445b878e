import { join } from "node:path";
import type { FindParent } from "./common-services.js";
import { listFolders } from "./read-file.js";
import { inheritService, type RawService, readServiceFolder } from "./read-service.js";
import { StackError } from "./stack-error.js";

/**
 * Reads the services in the folder `services` of a stack or an extension, by name.
 * @param path its path inside the stacks tree
 * @param parents those of the version that it extends
 */
export async function readServices(
  ownFolder: string,
  path: string,
  parents: ReadonlyMap<string, RawService> | undefined,
  findParent: FindParent,
): Promise<ReadonlyMap<string, RawService>> {
  const folder = join(ownFolder, "services");
  const services = new Map(parents);
  const ownFiles = new Map<string, string>();
  for (const each of await listFolders(folder)) {
    for (const own of await readServiceFolder(join(folder, each), `${path}/services/${each}`)) {
      const other = ownFiles.get(own.name);
      if (other !== undefined) {
        throw new StackError(own.file, `service ${own.name} is in ${other} already`, own.line);
      }
      ownFiles.set(own.name, own.file);
      const inherited = parents?.get(own.name);
      if (own.deleted) services.delete(own.name);
      // A parent that is named wins over the parent stack's service of the same name, as in Ambari.
      else if (own.extends !== undefined) {
        services.set(own.name, inheritService(await findParent(own), own));
      } else services.set(own.name, inherited ? inheritService(inherited, own) : own);
    }
  }
  return services;
}
