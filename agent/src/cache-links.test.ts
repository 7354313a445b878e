import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { linkPackage } from "./cache-links.js";
import { createFolders } from "./folders.js";
import { temporaryFolders } from "./testing/test-agent.js";

function cacheOf(t: TestContext) {
  const { folders, remove } = temporaryFolders();
  t.after(remove);
  const packageOf = (digest: string) => {
    const folder = join(folders.cache, "packages", digest);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "which"), digest);
    return folder;
  };
  return { folders, cache: folders.cache, packageOf };
}

test("a package is found where Ambari's agent has it, the one used last", async (t) => {
  const { cache, packageOf } = cacheOf(t);
  const path = "stacks/S/1.0/services/X/package";
  for (const digest of ["one", "two", "two", "one"]) {
    await linkPackage(cache, path, packageOf(digest));
    assert.equal(readFileSync(join(cache, path, "which"), "utf8"), digest);
  }
  assert.equal(readlinkSync(join(cache, path)), "../../../../../packages/one");
  for (const place of ["custom_actions", "host_scripts", "stack-hooks"]) {
    await linkPackage(cache, place, packageOf("two"));
    assert.equal(readFileSync(join(cache, place, "which"), "utf8"), "two");
  }
  // Many at once do not trip over each other.
  await Promise.all(["one", "two", "one"].map((d) => linkPackage(cache, path, packageOf(d))));
  assert.ok(existsSync(join(cache, path, "which")));
});

test("nothing is linked where no package belongs, or over what is an operator's own", async (t) => {
  const { cache, packageOf } = cacheOf(t);
  const folder = packageOf("one");
  for (const path of ["", "packages/x", "stacks", "stacks/../../x", "custom_actions/x", "/etc/x"]) {
    await linkPackage(cache, path, folder);
  }
  assert.ok(!existsSync(join(cache, "packages", "x")));
  assert.ok(!existsSync(join(cache, "..", "x")));
  mkdirSync(join(cache, "host_scripts"), { recursive: true });
  writeFileSync(join(cache, "host_scripts", "own.py"), "");
  await linkPackage(cache, "host_scripts", folder);
  assert.ok(existsSync(join(cache, "host_scripts", "own.py")));
  // A link on the way would lead into another package.
  mkdirSync(join(cache, "stacks"), { recursive: true });
  symlinkSync(folder, join(cache, "stacks", "S"));
  await linkPackage(cache, "stacks/S/1.0/services/X/package", packageOf("two"));
  assert.ok(!existsSync(join(folder, "1.0")));
});

test("an agent starts although a linked package is gone", async (t) => {
  const { folders, cache, packageOf } = cacheOf(t);
  const folder = packageOf("one");
  await linkPackage(cache, "custom_actions", folder);
  rmSync(folder, { recursive: true });
  createFolders(folders);
  await linkPackage(cache, "custom_actions", packageOf("two"));
  assert.equal(readFileSync(join(cache, "custom_actions", "which"), "utf8"), "two");
});
