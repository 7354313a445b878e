import { resolve } from "node:path";
import type { Settings } from "./settings.js";

/**
 * Variables that Ambari's control script gives its agent, and so its scripts, besides those of its folders; then those of the ini file,
 * which may change them. Its passphrase is nobody's business.
 */
export function ambariVariables(settings: Settings, configFile: string): Record<string, string> {
  return {
    PYTHON: settings.python,
    CONFIG_FILE: resolve(configFile),
    HOME_DIR: "", // what stands before each of Ambari's own paths: nothing
    ...settings.environment,
  };
}
