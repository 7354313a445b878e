import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";

/** Writes a stacks tree of these files, by their paths, until the test ends. */
export async function stackTree(
  t: TestContext,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const tree = await mkdtemp(join(tmpdir(), "stacks-"));
  t.after(() => rm(tree, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), content);
  }
  return tree;
}
