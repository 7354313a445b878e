import { Code, ConnectError } from "@connectrpc/connect";
import type { Knex } from "knex";
import type { Database } from "../database/together.js";
import { listClusterNames } from "../store/read-cluster.js";

/** The error of a cluster that is not there. */
export async function noCluster(db: Database, name: string): Promise<ConnectError> {
  const names = await listClusterNames(db);
  const there = names.length === 0 ? "there is none yet" : `there are ${names.join(", ")}`;
  return new ConnectError(`there is no cluster ${name}; ${there}`, Code.NotFound);
}

/** The name of the cluster when there is only one. Throws NOT_FOUND when there is none, INVALID_ARGUMENT when there are several. */
export async function onlyCluster(db: Knex): Promise<string> {
  const [name, ...others] = await listClusterNames(db);
  if (name === undefined) {
    throw new ConnectError(
      "there is no cluster yet; make one with `howdah cluster apply FILE`",
      Code.NotFound,
    );
  }
  if (others.length > 0) {
    throw new ConnectError(
      `name: is empty, and there are several clusters: ${[name, ...others].join(", ")}; name one`,
      Code.InvalidArgument,
    );
  }
  return name;
}
