import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { type Address, namesHost, ownEntry, parseAddress } from "./address.js";
import { AlertDefinitionError } from "./definition-error.js";
import { fillIn } from "./placeholders.js";

/** Where a web server is to be asked. */
export interface WebAddress {
  readonly scheme: "http" | "https";
  readonly host: string;
  readonly port: number;
  /** Empty, or from the `/` on. */
  readonly path: string;
}

/** What choosing an address needs. */
export interface HostNames {
  /** In lower case, the first one first tried. */
  readonly hostNames: readonly string[];
  /** As a command's JSON. */
  readonly root: JsonObject;
}

const nameserviceName = "{{ha-nameservice}}";
const aliasName = "{{alias}}";
/** More of them no cluster has. */
const mostAliases = 100;

/**
 * Chooses the address of an Ambari `uri` block: that of high availability that names this host; `https` when `http` is not there or
 * `https_property` has `https_property_value`; else `http`; else `default_port` on this host.
 * @throws AlertDefinitionError when there is none
 */
export function webAddress(uri: Json | undefined, { hostNames, root }: HostNames): WebAddress {
  const block: JsonObject = isJsonObject(uri) ? uri : uri === undefined ? {} : { http: uri };
  const isHttps = wantsHttps(block, root);
  const available = highlyAvailable(block, isHttps, { hostNames, root });
  const http = fillIn(block.http, root);
  const https = fillIn(block.https, root);
  const useHttps = https !== undefined && (http === undefined || isHttps);
  const address =
    available ?? orDefaultPort(useHttps ? https : http, block, hostNames, parsePort(block));
  const secure = available === undefined ? useHttps : isHttps;
  const scheme =
    address.scheme === "http" || address.scheme === "https"
      ? address.scheme
      : secure
        ? "https"
        : "http";
  return {
    scheme,
    host: address.host ?? hostNames[0] ?? "localhost",
    port: address.port ?? (scheme === "https" ? 443 : 80),
    path: address.path,
  };
}

function wantsHttps({ https_property, https_property_value }: JsonObject, root: JsonObject) {
  const property = fillIn(https_property, root);
  const value = fillIn(https_property_value, root);
  return property !== undefined && property === value;
}

function parsePort({ default_port }: JsonObject): number | undefined {
  const port = Number(default_port ?? Number.NaN);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

function orDefaultPort(
  text: string | undefined,
  block: JsonObject,
  hostNames: readonly string[],
  defaultPort: number | undefined,
): Address {
  if (text !== undefined && text.trim() !== "") {
    const found = ownEntry(text, hostNames);
    return found.port === undefined && found.scheme === undefined && defaultPort !== undefined
      ? { ...found, port: defaultPort }
      : found;
  }
  if (defaultPort !== undefined) return parseAddress(String(defaultPort));
  const named = [block.http, block.https].filter((each) => typeof each === "string").join(", ");
  throw new AlertDefinitionError(
    named === ""
      ? "it names neither an http nor an https URI, and no default_port"
      : `none of ${named} is configured, and there is no default_port`,
  );
}

/** The address among those of high availability that names this host; undefined when there is none. */
function highlyAvailable(
  { high_availability: block }: JsonObject,
  isHttps: boolean,
  { hostNames, root }: HostNames,
): Address | undefined {
  if (!isJsonObject(block)) return undefined;
  const { alias_key: aliasKey } = block;
  const pattern = isHttps ? block.https_pattern : block.http_pattern;
  if (typeof aliasKey !== "string" || typeof pattern !== "string") return undefined;
  const named = block.nameservice === undefined ? "" : fillIn(block.nameservice, root);
  if (named === undefined) return undefined;
  for (const service of list(named === "" ? "-" : named)) {
    const aliases = fillIn(aliasKey.replaceAll(nameserviceName, service), root);
    for (const alias of list(aliases ?? "")) {
      const key = pattern.replaceAll(nameserviceName, service).replaceAll(aliasName, alias);
      const found = fillIn(key, root);
      if (found === undefined) continue;
      const address = parseAddress(found);
      if (namesHost(address, hostNames)) return address;
    }
  }
  return undefined;
}

function list(text: string): string[] {
  return text
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "")
    .slice(0, mostAliases);
}
