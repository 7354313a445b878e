import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, createClient } from "@connectrpc/connect";
import { StackDefinitionSchema } from "@howdah/proto/howdah/v1/stack";
import { type PutPackageRequestSchema, StackService } from "@howdah/proto/howdah/v1/stack_service";
import { createRpcServer } from "@howdah/rpc/server";
import { createRpcTransport } from "@howdah/rpc/transport";
import { sha256Hex } from "../canonical-json.js";
import { execute, query } from "../database/query.js";
import {
  deleteUpload,
  insertPackageChunk,
  makeUploadId,
  purgeUploads,
} from "../store/put-package.js";
import { openTestDatabase, silent, type TestDatabase } from "../testing/database.js";
import { inMemory } from "../testing/in-memory.js";
import { rejects } from "../testing/rejects.js";
import { sampleStack } from "../testing/sample-fleet.js";
import { createStackService } from "./stack-service.js";

type Piece = MessageInitShape<typeof PutPackageRequestSchema>;

let database: TestDatabase;
let stacks: Client<typeof StackService>;

const maxBytes = 3 << 20;
before(async () => {
  database = await openTestDatabase();
  stacks = createClient(
    StackService,
    inMemory(({ service }) => service(StackService, createStackService(database.db, maxBytes))),
  );
});
after(() => database.close());

async function* pieces(data: Buffer, digest: string, size: number): AsyncGenerator<Piece> {
  yield { digest };
  for (let start = 0; start < data.length; start += size) {
    yield { data: data.subarray(start, start + size) };
  }
}

const put = (data: Buffer, size = 100_000, digest = sha256Hex(data)) =>
  stacks.putPackage(pieces(data, digest, size));

async function read(digest: string): Promise<{ data: Buffer; largest: number }> {
  const parts: Uint8Array[] = [];
  for await (const { data } of stacks.readPackage({ digest })) parts.push(data);
  return { data: Buffer.concat(parts), largest: Math.max(...parts.map((part) => part.length)) };
}

/** How many uploads have chunks. */
async function countUploads(): Promise<number> {
  const [row] = await query<{ uploads: number }>(
    database.db,
    "select count(distinct upload_id) as uploads from package_chunk",
  );
  return row?.uploads ?? 0;
}

describe("packages", () => {
  it("come back as they were put, in pieces of at most 256 KiB, however they were cut", async () => {
    for (const [length, size] of [
      [1, 1],
      [256 << 10, 256 << 10],
      [(2 << 20) + 17, 1 << 20],
      [(1 << 20) + 3, 70_001],
    ] as const) {
      const data = randomBytes(length);
      assert.equal((await put(data, size)).size, BigInt(length));
      const found = await read(sha256Hex(data));
      assert.ok(found.data.equals(data), `${length} bytes in pieces of ${size}`);
      assert.ok(found.largest <= 256 << 10);
    }
  });

  it("are reported missing in the order asked until they are there", async () => {
    const [a, b, c] = [randomBytes(10), randomBytes(10), randomBytes(10)];
    await put(b);
    const { missing } = await stacks.findMissingPackages({ digests: [c, b, a].map(sha256Hex) });
    assert.deepEqual(missing, [c, a].map(sha256Hex));
    assert.deepEqual((await stacks.findMissingPackages({})).missing, []);
  });

  it("may be put again, and by several at once", async () => {
    const data = randomBytes(800_000);
    const uploads = await countUploads();
    const sizes = await Promise.all([put(data), put(data, 333_333), put(data, 50_000)]);
    assert.deepEqual(new Set(sizes.map(({ size }) => size)), new Set([800_000n]));
    await put(data);
    assert.ok((await read(sha256Hex(data))).data.equals(data));
    assert.equal(await countUploads(), uploads + 1);
  });

  it("with a wrong digest are refused and leave nothing, nor harm the right one", async () => {
    const data = randomBytes(600_000);
    const uploads = await countUploads();
    const digest = sha256Hex(data);
    const good = put(data);
    await rejects(
      put(randomBytes(600_000), 100_000, digest),
      Code.InvalidArgument,
      /^digest: [0-9a-f]{64} was stated, but the 600000 bytes have [0-9a-f]{64}; send the file again$/,
    );
    await good;
    assert.ok((await read(digest)).data.equals(data));
    assert.equal(await countUploads(), uploads + 1);
  });

  it("that break off are not visible and leave nothing", async () => {
    const data = randomBytes(1_000_000);
    const digest = sha256Hex(data);
    const uploads = await countUploads();
    async function* broken() {
      yield* pieces(data.subarray(0, 900_000), digest, 300_000);
      throw new Error("the sender died");
    }
    await assert.rejects(stacks.putPackage(broken()));
    assert.deepEqual((await stacks.findMissingPackages({ digests: [digest] })).missing, [digest]);
    await rejects(
      read(digest),
      Code.NotFound,
      `there is no package ${digest}; push the stack again`,
    );
    // The handler ends on its own time after its caller has gone.
    for (let tries = 0; (await countUploads()) !== uploads; tries += 1) assert.ok(tries < 1_000);
  });

  it("have limits", async () => {
    const uploads = await countUploads();
    const big = Buffer.alloc(maxBytes + 1);
    await rejects(
      put(big, 1 << 20),
      Code.ResourceExhausted,
      /more than 3145728 bytes; make it smaller/,
    );
    await put(big.subarray(1), 1 << 20);
    await rejects(
      put(randomBytes(2 << 20), 2 << 20),
      Code.InvalidArgument,
      /2097152 bytes in a message, at most 1048576/,
    );
    await rejects(put(Buffer.alloc(0)), Code.InvalidArgument, "data: the package is empty");
    await rejects(
      put(Buffer.alloc(1), 1, "abc"),
      Code.InvalidArgument,
      /^digest: "abc" must be SHA-256/,
    );
    const one = sha256Hex("1");
    const two = sha256Hex("2");
    async function* both() {
      yield { digest: one, data: Buffer.from("1") };
      yield { digest: two, data: Buffer.from("2") };
    }
    await rejects(stacks.putPackage(both()), Code.InvalidArgument, /^digest: differs/);
    assert.equal(await countUploads(), uploads + 1);
    await rejects(
      stacks.findMissingPackages({ digests: [one, "X"] }),
      Code.InvalidArgument,
      /^digests\[1\]: "X"/,
    );
    await rejects(
      stacks.findMissingPackages({ digests: Array.from({ length: 1_001 }, () => one) }),
      Code.InvalidArgument,
      /^digests: 1001 digests, at most 1000/,
    );
  });

  it("that lost a chunk are not passed off as whole", async () => {
    const data = randomBytes(600_000);
    await put(data);
    const digest = sha256Hex(data);
    await execute(
      database.db,
      "delete from package_chunk where position = 1 and upload_id = (select upload_id from package where digest = ?)",
      [digest],
    );
    await rejects(read(digest), Code.DataLoss, /has 337856 of its 600000 bytes/);
  });

  it("purgeUploads() removes what old uploads left, and nothing else", async () => {
    const data = randomBytes(10);
    await put(data);
    const uploads = await countUploads();
    const fresh = makeUploadId();
    for (const uploadId of [`000000000000001-x`, fresh]) {
      await insertPackageChunk(database.db, uploadId, 0, data);
    }
    assert.equal(await purgeUploads(database.db), 1);
    assert.equal(await countUploads(), uploads + 1);
    assert.equal(await purgeUploads(database.db, -60_000), 1);
    assert.equal(await countUploads(), uploads);
    const [row] = await query<{ upload_id: string }>(
      database.db,
      "select upload_id from package where digest = ?",
      [sha256Hex(data)],
    );
    await deleteUpload(database.db, row?.upload_id ?? "");
    assert.ok((await read(sha256Hex(data))).data.equals(data));
  });

  it("travel over gRPC, and so do refusals in the middle of a stream", async () => {
    const server = createRpcServer({ name: "command-store", log: silent });
    server.add(StackService, createStackService(database.db, maxBytes));
    const address = await server.listen("127.0.0.1:0");
    const transport = createRpcTransport({ address });
    try {
      const client = createClient(StackService, transport);
      const data = randomBytes(2_500_000);
      const digest = sha256Hex(data);
      const tooMuch = client.putPackage(pieces(Buffer.alloc(8 << 20), digest, 1 << 20));
      await rejects(tooMuch, Code.ResourceExhausted, /more than 3145728 bytes/);
      const wrong = client.putPackage(pieces(Buffer.alloc(8 << 20), "x", 1 << 20));
      await rejects(wrong, Code.InvalidArgument, /^digest: "x" must be/);
      assert.equal((await client.putPackage(pieces(data, digest, 1 << 20))).size, 2_500_000n);
      // What is there already is taken to its end, too.
      assert.equal((await client.putPackage(pieces(data, digest, 1 << 20))).size, 2_500_000n);
      const parts: Uint8Array[] = [];
      for await (const part of client.readPackage({ digest })) parts.push(part.data);
      assert.ok(Buffer.concat(parts).equals(data));
    } finally {
      transport.close();
      await server.drain();
    }
  });
});

describe("stacks", () => {
  it("are stored, listed and read back", async () => {
    const stack = sampleStack({ name: "STORED" });
    const first = await stacks.pushStack({ stack });
    assert.equal(first.replaced, false);
    assert.equal(first.stack?.digest, sha256Hex(toBinary(StackDefinitionSchema, stack)));
    assert.deepEqual(first.stack.services, ["HDFS", "MONITOR", "ZOOKEEPER"]);
    const same = await stacks.pushStack({ stack });
    assert.equal(same.replaced, false);
    const changed = await stacks.pushStack({
      stack: sampleStack({ name: "STORED", services: [] }),
    });
    assert.equal(changed.replaced, true);
    assert.notEqual(changed.stack?.digest, first.stack.digest);
    await stacks.pushStack({ stack });
    const found = await stacks.getStack({ name: "STORED", version: "1.0" });
    assert.deepEqual(found.stack, stack);
    assert.equal(found.digest, first.stack.digest);
    const listed = (await stacks.listStacks({})).stacks.filter(({ name }) => name === "STORED");
    assert.deepEqual(
      listed.map((each) => [each.version, each.digest]),
      [["1.0", found.digest]],
    );
    assert.ok((listed[0]?.pushedAt?.seconds ?? 0n) >= (first.stack.pushedAt?.seconds ?? 0n));
  });

  it("without a version are the one pushed last", async () => {
    for (const version of ["2.0", "10.0", "1.0"]) {
      await stacks.pushStack({ stack: sampleStack({ name: "LAST", version }) });
    }
    assert.equal((await stacks.getStack({ name: "LAST" })).stack?.version, "1.0");
    await stacks.pushStack({ stack: sampleStack({ name: "LAST", version: "2.0" }) });
    assert.equal((await stacks.getStack({ name: "LAST" })).stack?.version, "2.0");
    await rejects(
      stacks.getStack({ name: "LAST", version: "7" }),
      Code.NotFound,
      /^there is no stack LAST\/7; there are .*LAST\/1\.0, LAST\/10\.0, LAST\/2\.0/,
    );
    await rejects(stacks.getStack({}), Code.InvalidArgument, /^name: is empty/);
  });

  it("need their packages first", async () => {
    const [hooks, scripts] = [randomBytes(20), randomBytes(20)];
    const stack = sampleStack({ name: "PACKED", hooksDigest: sha256Hex(hooks) });
    for (const service of stack.services) service.packageDigest = sha256Hex(scripts);
    await put(hooks);
    await rejects(
      stacks.pushStack({ stack }),
      Code.FailedPrecondition,
      `stack: packages are missing: MONITOR (${sha256Hex(scripts)}); put them first`,
    );
    await rejects(stacks.getStack({ name: "PACKED" }), Code.NotFound, /no stack PACKED/);
    await put(scripts);
    stack.customActionsDigest = sha256Hex(Buffer.from("actions"));
    stack.hostScriptsDigest = sha256Hex(Buffer.from("host scripts"));
    await rejects(
      stacks.pushStack({ stack }),
      Code.FailedPrecondition,
      /^stack: packages are missing: the (?:custom actions|host scripts) \(.*, the (?:custom actions|host scripts) \(/,
    );
    await put(Buffer.from("actions"));
    await put(Buffer.from("host scripts"));
    await stacks.pushStack({ stack });
  });

  it("are refused with every problem named", async () => {
    const component = { name: "NODE", cardinality: "1" };
    const cases: [MessageInitShape<typeof StackDefinitionSchema>, RegExp][] = [
      [{ name: "a/b" }, /^stack.name: "a\/b" must be/],
      [{ version: "" }, /^stack.version: "" must be/],
      [{ hooksDigest: "x" }, /^stack.hooks_digest: must be SHA-256/],
      [{ customActionsDigest: "x" }, /^stack.custom_actions_digest: must be SHA-256/],
      [{ hostScriptsDigest: "x" }, /^stack.host_scripts_digest: must be SHA-256/],
      [
        { customActions: [{ name: "a/b" }] },
        /^stack.custom_actions\[a\/b\]: must be 1 to 100.*\[a\/b\].script: is missing/,
      ],
      [{ services: [{ name: "A" }, { name: "A" }] }, /^stack.services\[A\]: is there twice/],
      [{ services: [{ name: "a b" }] }, /^stack.services\[a b\]: a service's name/],
      [{ services: [{ name: "A", packageDigest: "x" }] }, /services\[A\].package_digest: must be/],
      [
        { services: [{ name: "A", packageFolder: "../etc" }] },
        /package_folder: ..\/etc must be a relative/,
      ],
      [
        { services: [{ name: "A", packageFolder: "/etc" }] },
        /package_folder: \/etc must be a relative/,
      ],
      [
        { services: [{ name: "A", serviceCheck: { script: "a/../../b.py" } }] },
        /service_check.script: "a\/..\/..\/b.py"/,
      ],
      [
        { services: [{ name: "A", serviceCheck: { script: "b.py", timeoutSeconds: -1 } }] },
        /timeout_seconds: -1/,
      ],
      [
        {
          services: [
            { name: "A", components: [component] },
            { name: "B", components: [component] },
          ],
        },
        /component NODE is there twice/,
      ],
      [
        { services: [{ name: "A", components: [{ name: "N-1" }] }] },
        /components\[N-1\]: a component's name/,
      ],
      [
        { services: [{ name: "A", components: [{ name: "N", cardinality: "many" }] }] },
        /cardinality: many must be/,
      ],
      [
        {
          services: [
            {
              name: "A",
              components: [{ name: "N", customCommands: [{ name: "X" }, { name: "X" }] }],
            },
          ],
        },
        /custom_commands\[X\]: is there twice/,
      ],
      [
        { configurationTypes: [{ name: "a" }, { name: "a" }] },
        /^stack.configuration_types\[a\]: is there twice/,
      ],
      [{ configurationTypes: [{ name: "a b" }] }, /configuration_types\[a b\]: a type's name/],
      [
        { configurationTypes: [{ name: "a", properties: [{ name: "p" }, { name: "p" }] }] },
        /configuration_types\[a\].properties\[p\]: is there twice/,
      ],
      [{ name: "", version: "" }, /^stack.name: .*; stack.version: /],
    ];
    for (const [over, message] of cases) {
      await rejects(stacks.pushStack({ stack: sampleStack(over) }), Code.InvalidArgument, message);
    }
    await rejects(stacks.pushStack({}), Code.InvalidArgument, "stack: is missing");
  });
});
