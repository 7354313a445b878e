import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { AgentFolders } from "../folders.js";

/** A script as it is shipped: beside the bundled program, or in the folder above the compiled modules. Throws when it is not there. */
export function shippedScript(name: string): string {
  const places = [`./${name}`, `../../${name}`].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const found = places.find((place) => existsSync(place));
  if (found === undefined) throw new Error(`${name} is missing: it belongs to ${places[0]}`);
  return found;
}

/**
 * Puts the supervisor where every step runs it from: in the agent's own folders, so that it is there while the package
 * is being replaced.
 */
export function installSupervisor(
  folders: AgentFolders,
  source = shippedScript("supervisor.sh"),
): void {
  install(source, folders.supervisor);
}

/** Puts `ambari-sudo.sh` where Ambari has it: in the agent's own folder. */
export function installAmbariSudo(folders: AgentFolders): void {
  install(shippedScript("ambari-sudo.sh"), folders.ambariSudo);
}

/** Puts what runs the scripts of alerts where every alert runs it from. */
export function installAlertRunner(folders: AgentFolders): void {
  install(shippedScript("alert-script.py"), folders.alertRunner);
}

/** By rename, because a shell that runs the former one may still be reading it. */
function install(source: string, target: string): void {
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, readFileSync(source), { mode: 0o755 });
  renameSync(temporary, target);
}
