import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import {
  type FetchPackageRequest,
  FetchPackageResponseSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import type { Limiter } from "./limiter.js";
import type { PackageCache } from "./package-cache.js";
import type { SessionRegistry } from "./session-registry.js";

/** What fetching needs. */
export interface FetchPackageParts {
  readonly registry: SessionRegistry;
  readonly packages: PackageCache;
  /** Bounds how many packages are being sent. */
  readonly fetches: Limiter;
  /** An agent that takes nothing for so long makes room for others, and its fetch ends. Default 60,000. */
  readonly fetchIdleMs?: number;
}

/**
 * Makes FetchPackage. So many at once are served, the others wait: a fleet that is told of a new package at once must not take this
 * process's memory. The agent checks the digest: the bytes may come from a read that is still going on. */
export function createFetchPackage(parts: FetchPackageParts) {
  const { registry, packages, fetches, fetchIdleMs = 60_000 } = parts;
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
    const leave = await fetches.enter(signal);
    let idle: NodeJS.Timeout | undefined;
    try {
      for await (const data of packages.read(digest, signal)) {
        idle = setTimeout(leave, fetchIdleMs);
        const since = performance.now();
        yield create(FetchPackageResponseSchema, { data });
        clearTimeout(idle);
        const idleMs = Math.round(performance.now() - since);
        if (idleMs < fetchIdleMs) continue;
        throw new ConnectError(`nothing was taken for ${idleMs} ms`, Code.DeadlineExceeded);
      }
    } finally {
      clearTimeout(idle);
      leave();
    }
  };
}
