/** Ambari's defaults of the properties of `cluster-env`. */
const usualCommands = "INSTALL,START";
const usualSeconds = "600";

/**
 * The parameters by which an agent tries a command again in place [A 2.5], from `cluster-env`: `command_retry_enabled`,
 * `commands_to_retry` and `command_retry_max_time_in_sec`. None for a command that is not tried again.
 * @param name the command, such as START
 */
export function retryParams(
  environment: Readonly<Record<string, string>>,
  name: string,
): Record<string, string> {
  if (environment.command_retry_enabled?.trim().toLowerCase() !== "true") return {};
  const commands = (environment.commands_to_retry || usualCommands).split(",");
  if (!commands.some((each) => each.trim().toUpperCase() === name)) return {};
  const stated = environment.command_retry_max_time_in_sec?.trim() || usualSeconds;
  const seconds = /^\d{1,9}$/.test(stated) ? stated : usualSeconds;
  return { command_retry_enabled: "true", max_duration_for_retries: seconds };
}
