import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HostComponent } from "@howdah/proto/howdah/v1/fleet";
import type { ListHostComponentsRequestSchema } from "@howdah/proto/howdah/v1/fleet_service";
import type { Session } from "./session.js";

const mostAtOnce = 10_000;

/** Components on hosts by service, component and host name, at most so many. */
export async function listComponents(
  { fleet }: Session,
  which: Pick<
    MessageInitShape<typeof ListHostComponentsRequestSchema>,
    "cluster" | "services" | "components" | "hosts" | "restartRequiredOnly"
  >,
  limit = Number.POSITIVE_INFINITY,
): Promise<HostComponent[]> {
  const found: HostComponent[] = [];
  let pageToken = "";
  do {
    const pageSize = Math.min(mostAtOnce, limit - found.length);
    const page = await fleet.listHostComponents({ ...which, pageSize, pageToken });
    found.push(...page.hostComponents);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && found.length < limit);
  return found;
}
