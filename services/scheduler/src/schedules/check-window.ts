import type { Client } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { RequestOptions } from "@howdah/proto/howdah/v1/operation";
import { invalidArgument } from "../invalid-argument.js";

/** Throws INVALID_ARGUMENT when a request's options name a maintenance window that is not there. */
export async function checkWindowExists(
  store: Client<typeof CommandStoreService>,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<void> {
  const window = options?.window ?? "";
  if (window === "") return;
  const { windows } = await store.readWindows({}, { signal });
  if (windows.some(({ name }) => name === window)) return;
  const names = windows.map(({ name }) => name).join(", ");
  throw invalidArgument(
    "options.window",
    `there is no maintenance window ${window}; ${names === "" ? "there are none yet" : `there are ${names}`}`,
  );
}
