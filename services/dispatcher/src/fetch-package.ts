import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import {
  type FetchPackageRequest,
  FetchPackageResponseSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import type { PackageCache } from "./package-cache.js";
import type { SessionRegistry } from "./session-registry.js";

/** What fetching needs. */
export interface FetchPackageParts {
  readonly registry: SessionRegistry;
  readonly packages: PackageCache;
}

/** Makes FetchPackage. The agent checks the digest: the bytes may come from a read that is still going on. */
export function createFetchPackage({ registry, packages }: FetchPackageParts) {
  return async function* fetchPackage(
    { digest, session }: FetchPackageRequest,
    { signal }: Pick<HandlerContext, "signal">,
  ) {
    const hostId = session?.hostId ?? 0n;
    const epoch = session?.sessionEpoch ?? 0n;
    if (registry.find(hostId, epoch) === undefined) {
      throw new ConnectError(
        `session: (host ${hostId}, epoch ${epoch}) is not here; connect and register first`,
        Code.FailedPrecondition,
      );
    }
    if (!/^[0-9a-f]{64}$/.test(digest)) {
      throw new ConnectError(
        `digest: "${digest.slice(0, 80)}" is no SHA-256 in lower-case hexadecimal digits`,
        Code.InvalidArgument,
      );
    }
    for await (const data of packages.read(digest, signal)) {
      yield create(FetchPackageResponseSchema, { data });
    }
  };
}
