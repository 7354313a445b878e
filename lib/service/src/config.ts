import { z } from "zod";

/** Settings by their names in the program; see `variableOf` for those in the environment. */
export type Fields = Record<string, z.ZodType>;

/** What the settings of some fields are, once read. */
export type Config<F extends Fields> = { [K in keyof F]: z.output<F[K]> };

/**
 * Thrown when settings are missing or wrong. Each problem is one line that names the variable, its value and the way out.
 */
export class ConfigError extends Error {
  override name = "ConfigError";
  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

/**
 * The environment variable of a setting: `commandStore` is HOWDAH_COMMAND_STORE, and `lostAfterMs` HOWDAH_LOST_AFTER,
 * since durations have their unit in the value there.
 */
export function variableOf(field: string): string {
  const words = field.replace(/Ms$/, "").replace(/[A-Z]/g, (letter) => `_${letter}`);
  return `HOWDAH_${words.toUpperCase()}`;
}

/**
 * Reads settings from environment variables. A variable that is empty counts as not set.
 * Throws ConfigError with all problems at once.
 */
export function readConfig<F extends Fields>(
  fields: F,
  env: Record<string, string | undefined>,
): Config<F> {
  const given: Record<string, string> = {};
  for (const field of Object.keys(fields)) {
    const value = env[variableOf(field)];
    if (value !== undefined && value !== "") given[field] = value;
  }
  const result = z.object(fields).safeParse(given);
  if (result.success) return result.data as Config<F>;
  throw new ConfigError(
    result.error.issues.map(({ path, message }) => {
      const variable = variableOf(String(path[0]));
      return `${variable}: ${message}`;
    }),
  );
}
