import type { Knex } from "knex";
import { createBoundedMap } from "../bounded-map.js";
import { canonicalJson } from "../canonical-json.js";
import { findPackage, readPackageChunks } from "../store/read-package.js";
import { readStack, readStackDigest } from "../store/read-stack.js";

/** What of a cluster's configurations has changed. Documents and definitions never change under their digests: they are compared once. */
export interface ChangedTypes {
  /** The types that differ between two configurations documents, sorted. */
  between(db: Knex, before: string, now: string): Promise<readonly string[]>;
  /** For each service of a stack the types that it depends on. */
  dependencies(
    db: Knex,
    stackName: string,
    stackVersion: string,
  ): Promise<ReadonlyMap<string, ReadonlySet<string>>>;
}

/** Keeps the last 1,000 comparisons and 100 stacks in mind. */
export function createChangedTypes(): ChangedTypes {
  const compared = createBoundedMap<string, readonly string[]>(1_000);
  const stacks = createBoundedMap<string, ReadonlyMap<string, ReadonlySet<string>>>(100);
  return {
    async between(db, before, now) {
      if (before === now) return [];
      const name = `${before}/${now}`;
      const known = compared.get(name);
      if (known !== undefined) return known;
      const changed = differing(await readTypes(db, before), await readTypes(db, now));
      compared.set(name, changed);
      return changed;
    },
    async dependencies(db, stackName, stackVersion) {
      const digest = (await readStackDigest(db, stackName, stackVersion)) ?? "";
      const known = stacks.get(digest);
      if (known !== undefined) return known;
      const stack = await readStack(db, stackName, stackVersion);
      const found = new Map(
        (stack?.definition.services ?? []).map((service) => [
          service.name,
          new Set([
            ...service.configurationTypes.map(({ name }) => name),
            ...service.configurationDependencies,
          ]),
        ]),
      );
      if (stack !== undefined) stacks.set(stack.digest, found);
      return found;
    },
  };
}

type Part = Readonly<Record<string, unknown>>;

/** A document's types, each as a text that is equal when its content is. */
async function readTypes(db: Knex, digest: string): Promise<Map<string, string>> {
  const stored = await findPackage(db, digest);
  if (stored === undefined) throw new Error(`configurations document ${digest} is gone`);
  const chunks: Buffer[] = [];
  for await (const chunk of readPackageChunks(db, stored.uploadId)) chunks.push(chunk);
  const document = JSON.parse(Buffer.concat(chunks).toString()) as {
    configurations: Part;
    configurationAttributes: Part;
  };
  return new Map(
    Object.entries(document.configurations).map(([type, properties]) => [
      type,
      canonicalJson([properties, document.configurationAttributes[type] ?? null]),
    ]),
  );
}

function differing(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): string[] {
  return [...new Set([...before.keys(), ...now.keys()])]
    .filter((type) => before.get(type) !== now.get(type))
    .sort();
}
