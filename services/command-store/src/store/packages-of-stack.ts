import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";

/** The digests of the packages that a definition names, each with what it is of, for people. Those that are equal are one. */
export function packagesOfStack(stack: StackDefinition): Map<string, string> {
  const owners = new Map(
    stack.services.map(({ name, packageDigest }) => [packageDigest, name] as const),
  );
  owners.set(stack.hooksDigest, "the hooks");
  owners.set(stack.customActionsDigest, "the custom actions");
  owners.set(stack.hostScriptsDigest, "the host scripts");
  owners.delete("");
  return owners;
}
