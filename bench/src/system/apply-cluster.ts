import { fileURLToPath } from "node:url";
import { loadStack } from "@howdah/stack/load-stack";
import { packagePieces } from "@howdah/stack/package-pieces";
import type { BenchSystem } from "./bench-system.js";

/** Pushes a stack from its folder. */
export async function pushStack({ stacks }: Pick<BenchSystem, "stacks">, folder: string) {
  const { definition, packages } = await loadStack(folder);
  for (const one of packages) await stacks.putPackage(packagePieces(one));
  await stacks.pushStack({ stack: definition });
}

/** Makes a cluster of the stack that ships: a database's primary on the first host, a replica of it on each of the others. */
export async function applyDatabases(
  system: Pick<BenchSystem, "stacks" | "fleet">,
  hostNames: readonly string[],
): Promise<void> {
  await pushStack(system, fileURLToPath(new URL("../../../stacks/HOWDAH/1.0", import.meta.url)));
  const components = [
    { name: "MARIADB_PRIMARY", hostNames: hostNames.slice(0, 1) },
    { name: "MARIADB_REPLICA", hostNames: hostNames.slice(1) },
  ];
  await system.fleet.applyCluster({
    ...{ name: "bench", stack: "HOWDAH/1.0", services: [{ name: "MARIADB", components }] },
    configurations: { "mariadb-env": { properties: { replication_password: "s3cret" } } },
  });
}
