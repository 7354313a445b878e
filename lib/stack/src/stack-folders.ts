import { dirname, join } from "node:path";
import { listIfPresent } from "./read-file.js";

/** What a stack brings besides its services, each packed as a whole. */
export type StackFolder = "hooks" | "customActions" | "hostScripts";

/** The name of each in a stack's folder, and of the one beside or inside the folder of stacks, which all stacks share that have none of their own. */
const names: Readonly<Record<StackFolder, { readonly own: string; readonly shared: string }>> = {
  hooks: { own: "hooks", shared: "stack-hooks" },
  customActions: { own: "custom_actions", shared: "custom_actions" },
  hostScripts: { own: "host_scripts", shared: "host_scripts" },
};

/** Where they are on disk; undefined: nowhere. */
export type StackFolders = Readonly<Record<StackFolder, string | undefined>>;

/** Finds them in a stack's folder; what it does not have is its parent's. */
export async function ownFolders(
  stack: string,
  parent: StackFolders | undefined,
): Promise<StackFolders> {
  return findEach(async (each) => (await present(join(stack, names[each].own))) ?? parent?.[each]);
}

/** Finds those that a stack does not have beside the folder of stacks, where Ambari has them, else inside it. */
export async function withSharedFolders(stacks: string, own: StackFolders): Promise<StackFolders> {
  return findEach(async (each) => {
    const { shared } = names[each];
    const beside = join(dirname(stacks), shared);
    return own[each] ?? (await present(beside)) ?? present(join(stacks, shared));
  });
}

async function findEach(
  find: (each: StackFolder) => Promise<string | undefined>,
): Promise<StackFolders> {
  const [hooks, customActions, hostScripts] = await Promise.all([
    find("hooks"),
    find("customActions"),
    find("hostScripts"),
  ]);
  return { hooks, customActions, hostScripts };
}

async function present(folder: string): Promise<string | undefined> {
  return (await listIfPresent(folder)) === undefined ? undefined : folder;
}
