/** The longest that anything is waited for. */
const longestMs = 10 * 365 * 24 * 3_600_000;

/** For how long an agent tries a command again in place [A 2.5]: only where its parameters say so, and never in the background. */
export function inPlaceRetryMs(
  command:
    | { readonly commandParams: Readonly<Record<string, string>>; readonly background: boolean }
    | undefined,
): number {
  const { command_retry_enabled: enabled, max_duration_for_retries: seconds = "0" } =
    command?.commandParams ?? {};
  if (enabled !== "true" || command?.background) return 0;
  const ms = Number(seconds) * 1_000;
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, longestMs) : 0;
}
