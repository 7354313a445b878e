import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { create as createTar } from "tar";
import { type FetchFile, openPackageCache, PackageError } from "./package-cache.js";
import { temporaryFolders, until } from "./testing/test-agent.js";
import { unpackPackage } from "./unpack-package.js";

const never = new AbortController().signal;

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A cache whose server has what the test puts into `served`. */
async function cacheOf(t: TestContext, fetchFile?: FetchFile) {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const served = new Map<string, Uint8Array>();
  const fetched: string[] = [];
  const cache = await openPackageCache(
    folders,
    fetchFile ??
      (async (digest, path) => {
        fetched.push(digest);
        const bytes = served.get(digest);
        if (bytes === undefined) throw new PackageError(`no package ${digest}`);
        writeFileSync(path, bytes);
        return digestOf(bytes);
      }),
  );
  const serve = (bytes: Uint8Array) => {
    served.set(digestOf(bytes), bytes);
    return digestOf(bytes);
  };
  const leftovers = () => readdirSync(join(folders.cache, "fetching"));
  return { folders, cache, served, fetched, serve, leftovers };
}

/** An archive of the files of a folder that `fill` fills. */
async function archive(t: TestContext, fill: (folder: string) => string[]): Promise<Buffer> {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const folder = join(folders.tmp, "package");
  mkdirSync(folder);
  const names = fill(folder);
  const file = join(folders.tmp, "package.tar");
  await createTar({ file, cwd: folder, preservePaths: true }, names);
  return readFileSync(file);
}

const plain = (folder: string) => {
  mkdirSync(join(folder, "scripts"));
  writeFileSync(join(folder, "scripts", "run.sh"), "echo hello\n", { mode: 0o755 });
  return ["scripts"];
};

test("a package is unpacked once, and found again by another cache", async (t) => {
  const { folders, cache, serve, fetched, leftovers } = await cacheOf(t);
  const digest = serve(await archive(t, plain));
  const callers = Array.from({ length: 5 }, () => cache.folder(digest, never));
  const [folder = ""] = await Promise.all(callers);
  const script = join(folder, "scripts", "run.sh");
  assert.equal(execFileSync(script, { shell: true }).toString(), "hello\n");
  assert.equal(fetched.length, 1);
  assert.deepEqual(leftovers(), []);
  writeFileSync(join(folders.cache, "fetching", "half"), "of a crash");
  const again = await openPackageCache(folders, () => assert.fail("fetched again"));
  assert.equal(await again.folder(digest, never), folder);
  assert.deepEqual(leftovers(), []);
});

test("a package that an operator has removed, for a script had changed it, is fetched again", async (t) => {
  const { cache, serve, fetched } = await cacheOf(t);
  const digest = serve(await archive(t, plain));
  const folder = await cache.folder(digest, never);
  const script = join(folder, "scripts", "run.sh");
  const pushed = readFileSync(script, "utf8");
  writeFileSync(script, "exit 1");
  rmSync(folder, { recursive: true });
  assert.equal(await cache.folder(digest, never), folder);
  assert.equal(readFileSync(script, "utf8"), pushed);
  assert.equal(fetched.length, 2);
});

test("a package that is not what its digest says is not used", async (t) => {
  const { cache, served, leftovers } = await cacheOf(t);
  const digest = "a".repeat(64);
  served.set(digest, await archive(t, plain));
  await assert.rejects(
    cache.folder(digest, never),
    /what the server sent for a{64} has the digest [0-9a-f]{64}/,
  );
  await assert.rejects(cache.folder("../../etc/passwd", never), /is no SHA-256 digest/);
  await assert.rejects(cache.folder("b".repeat(64), never), PackageError);
  assert.deepEqual(leftovers(), []);
});

const bad: [string, (folder: string) => string[]][] = [
  [
    "leads out of its folder",
    (folder) => {
      writeFileSync(join(folder, "..", "outside"), "");
      return ["../outside"];
    },
  ],
  [
    "is absolute",
    (folder) => {
      writeFileSync(join(folder, "absolute"), "");
      return [join(folder, "absolute")];
    },
  ],
  [
    "is a symbolic link to an absolute path",
    (folder) => {
      symlinkSync("/etc/passwd", join(folder, "link"));
      return ["link"];
    },
  ],
  [
    "is a symbolic link that leads out",
    (folder) => {
      symlinkSync("../../scripts", join(folder, "link"));
      return ["link"];
    },
  ],
  [
    "is a symbolic link that leads nowhere",
    (folder) => {
      symlinkSync("missing", join(folder, "link"));
      return ["link"];
    },
  ],
  [
    "leads out over another link, though it does not look so",
    (folder) => {
      mkdirSync(join(folder, "one"));
      symlinkSync("../scripts", join(folder, "one", "up"));
      symlinkSync("one/up/../../scripts", join(folder, "link"));
      return ["one", "link"];
    },
  ],
  [
    "is a hard link",
    (folder) => {
      writeFileSync(join(folder, "one"), "x");
      execFileSync("ln", ["one", "two"], { cwd: folder });
      return ["one", "two"];
    },
  ],
];
for (const [what, fill] of bad) {
  test(`a package with an entry that ${what} is refused whole`, async (t) => {
    const { folders, cache, serve, leftovers } = await cacheOf(t);
    const digest = serve(await archive(t, (folder) => [...plain(folder), ...fill(folder)]));
    await assert.rejects(cache.folder(digest, never), (error: Error) => {
      assert.ok(error instanceof PackageError);
      assert.match(
        error.message,
        /^the package [0-9a-f]{64} holds "[^"]+"(?: \(\w+\)|, a link (?:to "[^"]+", which is|that leads) (?:outside|nowhere))$/,
      );
      return true;
    });
    assert.deepEqual(leftovers(), []);
    assert.deepEqual(readdirSync(join(folders.cache, "packages")), []);
  });
}

test("links inside a package are kept; what is written through one is refused", async (t) => {
  const { cache, serve } = await cacheOf(t);
  const inner = await archive(t, (folder) => {
    const names = plain(folder);
    symlinkSync("scripts/run.sh", join(folder, "start"));
    symlinkSync("../scripts", join(folder, "scripts", "again"));
    return [...names, "start"];
  });
  const folder = await cache.folder(serve(inner), never);
  assert.equal(readlinkSync(join(folder, "start")), "scripts/run.sh");
  assert.equal(readFileSync(join(folder, "scripts/again/run.sh"), "utf8"), "echo hello\n");

  // First a link to a folder outside, then a file "in" it.
  const link = await archive(t, (at) => {
    symlinkSync("../..", join(at, "out"));
    return ["out"];
  });
  const through = await archive(t, (at) => {
    mkdirSync(join(at, "out"));
    writeFileSync(join(at, "out", "planted"), "x");
    return ["out/planted"];
  });
  const both = Buffer.concat([link.subarray(0, 512), through]);
  await assert.rejects(cache.folder(serve(both), never), /"out", a link to "..\/..", which is/);
});

test("a package that holds too much, or too many files, is refused", async (t) => {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const file = join(folders.tmp, "package.tar");
  writeFileSync(
    file,
    await archive(t, (folder) => {
      for (const name of ["a", "b", "c"]) writeFileSync(join(folder, name), "x".repeat(1_000));
      return ["a", "b", "c"];
    }),
  );
  const into = (name: string) => {
    const folder = join(folders.tmp, name);
    mkdirSync(folder);
    return folder;
  };
  await unpackPackage("d", file, into("fits"), { bytes: 3_000, entries: 3 });
  const large = unpackPackage("d", file, into("large"), { bytes: 2_999 });
  await assert.rejects(large, /^PackageError: the package d holds more than 2999 bytes$/);
  const many = unpackPackage("d", file, into("many"), { entries: 2 });
  await assert.rejects(many, /^PackageError: the package d holds more than 2 files$/);
});

test("an archive that is none, or a device, is refused", async (t) => {
  const { cache, serve } = await cacheOf(t);
  const noTar = serve(Buffer.alloc(2_000, "no archive"));
  await assert.rejects(cache.folder(noTar, never), PackageError);
  const whole = await archive(t, plain);
  await assert.rejects(cache.folder(serve(whole.subarray(0, 1_100)), never), PackageError);
  const types = [
    ["3", "CharacterDevice"],
    ["4", "BlockDevice"],
    ["6", "FIFO"],
  ] as const;
  for (const [type, name] of types) {
    // The type of the first entry, and the sum over its header.
    const device = Buffer.from(whole);
    device[156] = type.charCodeAt(0);
    device.fill(" ", 148, 156);
    const sum = device.subarray(0, 512).reduce((all, byte) => all + byte, 0);
    device.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    await assert.rejects(cache.folder(serve(device), never), new RegExp(name));
  }
});

test("a caller that gives up does not stop the others; the last one does", async (t) => {
  const bytes = await archive(t, plain);
  const signals: AbortSignal[] = [];
  let come = () => {};
  const came = new Promise<void>((resolve) => {
    come = resolve;
  });
  const { cache } = await cacheOf(t, async (_digest, path, signal) => {
    signals.push(signal);
    await Promise.race([
      came,
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    ]);
    writeFileSync(path, bytes);
    return digestOf(bytes);
  });
  const [one, two, three] = [new AbortController(), new AbortController(), new AbortController()];
  const digest = digestOf(bytes);
  const first = cache.folder(digest, one.signal);
  const second = cache.folder(digest, two.signal);
  const other = cache.folder("c".repeat(64), three.signal);
  await until(() => signals.length === 2, "two fetches");
  one.abort(new Error("gave up"));
  three.abort(new Error("gave up too"));
  await assert.rejects(first, /gave up/);
  await assert.rejects(other, /gave up too/);
  assert.equal(signals.filter(({ aborted }) => aborted).length, 1);
  come();
  assert.match(await second, /packages/);
  assert.equal(signals.length, 2);
});

test("a document is fetched once, and again when its file is not what it was", async (t) => {
  const { folders, cache, serve, fetched } = await cacheOf(t);
  const digest = serve(Buffer.from('{"a":{"b":1}}'));
  const both = await Promise.all([cache.document(digest, never), cache.document(digest, never)]);
  assert.deepEqual(both, [{ a: { b: 1 } }, { a: { b: 1 } }]);
  assert.deepEqual(await cache.document(digest, never), { a: { b: 1 } });
  assert.equal(fetched.length, 1);
  writeFileSync(join(folders.clusterCache, `${digest}.json`), '{"a":');
  assert.deepEqual(await cache.document(digest, never), { a: { b: 1 } });
  assert.equal(fetched.length, 2);
  await assert.rejects(cache.document(serve(Buffer.from("[1]")), never), /no JSON object/);
  await assert.rejects(cache.document(serve(Buffer.from("{")), never), /is no JSON/);
});
