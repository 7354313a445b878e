import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import {
  type StackService,
  type StackSummary,
  StackSummarySchema,
} from "@howdah/proto/howdah/v1/stack_service";
import type { Knex } from "knex";
import { refreshMetadata } from "../fleet/refresh-metadata.js";
import { packagesOfStack } from "../store/packages-of-stack.js";
import { findMissingPackages, findPackage, readPackageChunks } from "../store/read-package.js";
import { listStacks, readStack, type StackRow } from "../store/read-stack.js";
import { writeStack } from "../store/write-stack.js";
import { maxPackageBytes, receivePackage } from "./receive-package.js";
import { checkDigest, checkDigests, checkStack, checkStackName } from "./stack-requests.js";

/** Stack definitions and packages on this database. `maxBytes` limits a package; default 256 MiB. */
export function createStackService(
  db: Knex,
  maxBytes: number = maxPackageBytes,
): ServiceImpl<typeof StackService> {
  return {
    async findMissingPackages({ digests }) {
      checkDigests(digests);
      return { missing: await findMissingPackages(db, digests) };
    },

    async putPackage(requests) {
      return { size: BigInt(await receivePackage(db, requests, maxBytes)) };
    },

    async *readPackage({ digest }, context) {
      checkDigest("digest", digest);
      const found = await findPackage(db, digest);
      if (found === undefined) {
        throw new ConnectError(
          `there is no package ${digest}; push the stack again`,
          Code.NotFound,
        );
      }
      let size = 0;
      for await (const data of readPackageChunks(db, found.uploadId)) {
        context.signal.throwIfAborted();
        size += data.length;
        yield { data };
      }
      if (size !== found.size) {
        throw new ConnectError(
          `package ${digest} has ${size} of its ${found.size} bytes; restore the database`,
          Code.DataLoss,
        );
      }
    },

    async pushStack(request) {
      const stack = checkStack(request.stack);
      await requirePackages(db, stack);
      const { row, replaced } = await writeStack(db, stack);
      await refreshMetadata(db, stack);
      return { stack: toSummary(row), replaced };
    },

    async listStacks() {
      return { stacks: (await listStacks(db)).map(toSummary) };
    },

    async getStack({ name, version }) {
      checkStackName(name);
      const found = await readStack(db, name, version);
      if (found !== undefined) return { stack: found.definition, digest: found.digest };
      const there = (await listStacks(db)).map((each) => `${each.name}/${each.version}`);
      const wanted = version === "" ? name : `${name}/${version}`;
      throw new ConnectError(
        `there is no stack ${wanted}; ${there.length === 0 ? "none has been pushed yet" : `there are ${there.join(", ")}`}`,
        Code.NotFound,
      );
    },
  };
}

async function requirePackages(db: Knex, stack: StackDefinition): Promise<void> {
  const owners = packagesOfStack(stack);
  const missing = await findMissingPackages(db, [...owners.keys()]);
  if (missing.length === 0) return;
  const names = missing.map((digest) => `${owners.get(digest)} (${digest})`);
  throw new ConnectError(
    `stack: packages are missing: ${names.slice(0, 20).join(", ")}; put them first`,
    Code.FailedPrecondition,
  );
}

function toSummary(row: StackRow): StackSummary {
  return create(StackSummarySchema, {
    name: row.name,
    version: row.version,
    services: [...row.services],
    digest: row.digest,
    pushedAt: timestampFromMs(row.pushedAt),
  });
}
