import type { Client } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { RequestOptions } from "@howdah/proto/howdah/v1/operation";

/** Says that the maintenance window that a request's options name is not there; undefined when it is, or none is named. */
export async function missingWindow(
  store: Client<typeof CommandStoreService>,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const window = options?.window ?? "";
  if (window === "") return undefined;
  const { windows } = await store.readWindows({}, { signal });
  if (windows.some(({ name }) => name === window)) return undefined;
  const names = windows.map(({ name }) => name).join(", ");
  return `there is no maintenance window ${window}; ${names === "" ? "there are none yet" : `there are ${names}`}`;
}
