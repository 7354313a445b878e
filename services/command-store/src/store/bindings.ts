import { createBoundedMap } from "../bounded-map.js";
import { execute, query } from "../database/query.js";
import type { Statement } from "../database/statement.js";
import type { Database } from "../database/together.js";

/** The documents that commands run with. */
export interface Binding {
  readonly bindingId: number;
  readonly configurationsDigest: string;
  readonly topologyDigest: string;
  readonly metadataDigest: string;
}

/** What a command without a cluster is bound to: nothing. */
export const unbound: Binding = {
  bindingId: 0,
  configurationsDigest: "",
  topologyDigest: "",
  metadataDigest: "",
};

/** Bindings never change, so this process reads each once while it keeps it in mind. */
export interface Bindings {
  /** The bindings of clusters, by cluster id; made where there is none yet. */
  ofClusters(db: Database, clusters: readonly ClusterDigests[]): Promise<Map<number, Binding>>;
  /** Bindings by their ids. */
  read(db: Database, bindingIds: readonly number[]): Promise<Map<number, Binding>>;
}

type Digests = Omit<Binding, "bindingId">;

/** The documents of a cluster as they are now. */
export interface ClusterDigests extends Digests {
  readonly clusterId: number;
}

const digestColumns = `configurations_digest as configurationsDigest, topology_digest as topologyDigest,
  metadata_digest as metadataDigest`;

/** What reads the documents of requests' clusters as `ClusterDigests`. */
export function selectClusterDigests(requestIds: readonly number[]): Statement {
  return {
    sql: `select cluster_id as clusterId, ${digestColumns} from cluster
    where cluster_id in (select cluster_id from request where request_id in (?))`,
    bindings: [requestIds],
  };
}

/** What reads the documents of a cluster as `ClusterDigests`. */
export function selectDigestsOf(clusterId: number): Statement {
  return {
    sql: `select cluster_id as clusterId, ${digestColumns} from cluster where cluster_id = ?`,
    bindings: [clusterId],
  };
}

/** Keeps the last 1,000 bindings in mind. */
export function createBindings(): Bindings {
  const byDigests = createBoundedMap<string, Binding>(1_000);
  const byId = createBoundedMap<number, Binding>(1_000);
  const remember = (binding: Binding) => {
    byDigests.set(nameOf(binding), binding);
    byId.set(binding.bindingId, binding);
    return binding;
  };
  return {
    async ofClusters(db, clusters) {
      const found = new Map<number, Binding>();
      for (const { clusterId, ...digests } of clusters) {
        const binding = byDigests.get(nameOf(digests)) ?? (await readBinding(db, digests));
        // One that is made here is not remembered: the transaction may yet be rolled back.
        found.set(
          clusterId,
          binding === undefined ? await insertBinding(db, digests) : remember(binding),
        );
      }
      return found;
    },
    async read(db, bindingIds) {
      const found = new Map<number, Binding>([[0, unbound]]);
      const missing = new Set<number>();
      for (const id of bindingIds) {
        const binding = id === 0 ? unbound : byId.get(id);
        if (binding === undefined) missing.add(id);
        else found.set(id, binding);
      }
      if (missing.size === 0) return found;
      const rows = await query<Binding>(
        db,
        `select binding_id as bindingId, ${digestColumns} from command_binding where binding_id in (?)`,
        [[...missing]],
      );
      for (const binding of rows) found.set(binding.bindingId, remember(binding));
      return found;
    },
  };
}

function nameOf({ configurationsDigest, topologyDigest, metadataDigest }: Digests): string {
  return `${configurationsDigest}/${topologyDigest}/${metadataDigest}`;
}

async function readBinding(db: Database, digests: Digests): Promise<Binding | undefined> {
  const [row] = await query<{ bindingId: number }>(
    db,
    `select binding_id as bindingId from command_binding
    where configurations_digest = ? and topology_digest = ? and metadata_digest = ?`,
    valuesOf(digests),
  );
  return row === undefined ? undefined : { bindingId: row.bindingId, ...digests };
}

async function insertBinding(db: Database, digests: Digests): Promise<Binding> {
  await execute(
    db,
    "insert ignore into command_binding (configurations_digest, topology_digest, metadata_digest) values (?, ?, ?)",
    valuesOf(digests),
  );
  const binding = await readBinding(db, digests);
  if (binding === undefined) throw new Error("a binding that was just made is gone");
  return binding;
}

function valuesOf({ configurationsDigest, topologyDigest, metadataDigest }: Digests): string[] {
  return [configurationsDigest, topologyDigest, metadataDigest];
}
