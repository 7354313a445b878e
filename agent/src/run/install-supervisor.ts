import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { AgentFolders } from "../folders.js";

const mode = 0o755;

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

/**
 * Installs all three. What is not there already needs room on the disk: where there is none, `roomMade` is waited for and it is tried
 * again.
 */
export async function installScripts(
  folders: AgentFolders,
  roomMade: Promise<void>,
): Promise<void> {
  const installAll = () => {
    installSupervisor(folders);
    installAmbariSudo(folders);
    installAlertRunner(folders);
  };
  try {
    installAll();
  } catch {
    await roomMade;
    installAll();
  }
}

/**
 * By rename, because a shell that runs the former one may still be reading it. What is there already is left alone: a full disk must not
 * keep an agent from its start.
 */
function install(source: string, target: string): void {
  const content = readFileSync(source);
  if (isInstalled(target, content)) return;
  const temporary = `${target}.${process.pid}`;
  try {
    writeFileSync(temporary, content, { mode });
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function isInstalled(target: string, content: Buffer): boolean {
  const there = statSync(target, { throwIfNoEntry: false });
  if (there === undefined || (there.mode & 0o777) !== (mode & ~process.umask())) return false;
  return there.size === content.length && readFileSync(target).equals(content);
}
