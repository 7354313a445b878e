import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import type { StackService, StackSummary } from "@howdah/proto/howdah/v1/stack_service";

/** Stack definitions, read again only when their digest has changed: they are large and change seldom. */
export class StackCache {
  private readonly known = new Map<string, { digest: string; stack: StackDefinition }>();

  constructor(private readonly stacks: Client<typeof StackService>) {}

  /** The digests of the stacks there are now, by `NAME/VERSION`, those pushed last first. Stacks that are gone are forgotten. */
  async digests(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const { stacks } = await this.stacks.listStacks({}, { signal });
    const pushedAt = (stack: StackSummary) => (stack.pushedAt ? timestampMs(stack.pushedAt) : 0);
    const digests = new Map(
      stacks
        .toSorted((a, b) => pushedAt(b) - pushedAt(a))
        .map(({ name, version, digest }) => [`${name}/${version}`, digest]),
    );
    for (const name of this.known.keys()) if (!digests.has(name)) this.known.delete(name);
    return digests;
  }

  /**
   * The stack of this name, `NAME/VERSION`.
   * @throws ConnectError FAILED_PRECONDITION when it is not there any more
   */
  async get(
    name: string,
    digests: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<StackDefinition> {
    const known = this.known.get(name);
    if (known !== undefined && known.digest === digests.get(name)) return known.stack;
    const [stackName = "", version = ""] = name.split("/");
    try {
      const { stack, digest } = await this.stacks.getStack(
        { name: stackName, version },
        { signal },
      );
      if (stack === undefined) throw new ConnectError(`stack ${name} is empty`, Code.Internal);
      this.known.set(name, { digest, stack });
      return stack;
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      if (code !== Code.NotFound) throw error;
      throw new ConnectError(`the cluster's stack is gone: ${rawMessage}`, Code.FailedPrecondition);
    }
  }
}
