import { realpathSync, statSync } from "node:fs";
import { isAbsolute, join, posix, relative } from "node:path";
import type { ClusterAlerts } from "@howdah/proto/howdah/v1/alert";
import { isJsonObject, type JsonObject } from "../json.js";
import { AlertDefinitionError } from "./definition-error.js";

/** Where the script of an alert may be. */
export interface ScriptPlaces {
  readonly cluster: ClusterAlerts;
  /** The cluster's document. */
  readonly metadata: JsonObject;
  /** The service of the definition. */
  readonly serviceName: string;
}

/** A file in a package. */
export interface PackageFile {
  readonly digest: string;
  /** Relative to the package's folder. */
  readonly path: string;
}

/** A script on this host. */
export interface FoundScript {
  readonly path: string;
  /** The folder of its package. */
  readonly folder: string;
}

const roots = ["", "stacks/", "common-services/", "extensions/"];

/**
 * The files that the path of a script may mean, the likeliest first. As Ambari writes it a path begins with the folder of a service in its
 * stack, `BIGTOP/3.2.0/services/HDFS/package/alerts/x.py`; where the stack inherits the service from another one, what counts is what
 * comes behind `/package/`. Else it is a path in the package of the definition's service, or in that of the stack's host scripts.
 * @throws AlertDefinitionError for what is no path of a Python script
 */
export function scriptFiles(path: string, places: ScriptPlaces): PackageFile[] {
  const { cluster, metadata, serviceName } = places;
  const file = posix.normalize(path);
  if (!file.endsWith(".py") || file.startsWith("..") || isAbsolute(file)) {
    throw new AlertDefinitionError(`${JSON.stringify(path)} is no path of a Python script`);
  }
  const found: PackageFile[] = [];
  const add = (digest: string | undefined, inPackage: string) => {
    if (digest) found.push({ digest, path: inPackage });
  };
  for (const [service, folder] of packageFolders(metadata)) {
    for (const root of roots) {
      const full = `${root}${file}`;
      if (!full.startsWith(`${folder}/`)) continue;
      add(cluster.packageDigests[service], full.slice(folder.length + 1));
    }
  }
  const inherited = file.indexOf("/package/");
  const own = cluster.packageDigests[serviceName];
  if (inherited >= 0) add(own, file.slice(inherited + "/package/".length));
  add(own, file);
  add(cluster.hostScriptsDigest, file.replace(/^host_scripts\//, ""));
  return found;
}

/** Service to where its package lies in the stack. */
function packageFolders({ serviceLevelParams: services }: JsonObject): [string, string][] {
  if (!isJsonObject(services)) return [];
  return Object.entries(services).flatMap(([service, params]) => {
    const folder = isJsonObject(params) ? params.service_package_folder : undefined;
    return typeof folder === "string" && folder !== "" ? [[service, folder]] : [];
  });
}

/**
 * The script's file on this host.
 * @param packages where all packages are: an absolute path must lead there
 * @param folder fetches a package that this host lacks
 * @throws an Error that says that it cannot be found, and what `folder` throws
 */
export async function findScript(
  path: string,
  places: ScriptPlaces,
  packages: string,
  folder: (digest: string) => Promise<string>,
): Promise<FoundScript> {
  if (isAbsolute(path)) {
    if (path.endsWith(".py") && isFile(path) && isBelow(path, packages)) {
      return { path, folder: packageOf(path, packages) };
    }
    throw new Error(`Unable to find '${path}' in a package`);
  }
  for (const file of scriptFiles(path, places)) {
    const found = await folder(file.digest);
    const full = join(found, file.path);
    if (isFile(full)) return { path: full, folder: found };
  }
  throw new Error(`Unable to find '${path}'`);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** The folder right below `packages`. */
function packageOf(path: string, packages: string): string {
  const [digest = ""] = relative(realpathSync(packages), realpathSync(path)).split("/");
  return join(packages, digest);
}

function isBelow(path: string, folder: string): boolean {
  return realpathSync(path).startsWith(`${realpathSync(folder)}/`);
}
