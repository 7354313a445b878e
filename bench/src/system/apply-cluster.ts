import { fileURLToPath } from "node:url";
import { loadStack } from "@howdah/stack/load-stack";
import type { BenchSystem } from "./bench-system.js";

/** What a packages' piece has at most. */
const pieceBytes = 1 << 20;

/** Pushes a stack from its folder. */
export async function pushStack({ stacks }: Pick<BenchSystem, "stacks">, folder: string) {
  const { definition, packages } = await loadStack(folder);
  for (const { digest, bytes } of packages) {
    await stacks.putPackage(
      (async function* () {
        yield { digest, data: bytes.subarray(0, pieceBytes) };
        for (let from = pieceBytes; from < bytes.length; from += pieceBytes) {
          yield { data: bytes.subarray(from, from + pieceBytes) };
        }
      })(),
    );
  }
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
