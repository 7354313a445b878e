/** Where something listens, as configurations write it: `host:port`, a URL, or a port alone. */
export interface Address {
  /** In lower case; undefined when it is not written. */
  readonly scheme: string | undefined;
  /** In lower case; undefined when it is not written, or stands for the host that reads it. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  /** From the first `/` or `?` on. */
  readonly path: string;
}

const ownHost = new Set(["", "localhost", "0.0.0.0", "::", "*"]);

/** Reads an address; what is no port is none. */
export function parseAddress(text: string): Address {
  const trimmed = text.trim().slice(0, 2_000);
  const [, scheme, authority = "", path = ""] =
    /^(?:([a-z][a-z0-9+._-]*):\/\/)?([^/?#]*)([^#]*)/i.exec(trimmed) ?? [];
  const place = authority.slice(authority.lastIndexOf("@") + 1);
  const [, inBrackets, behind = ""] = /^\[([^\]]*)\](.*)$/.exec(place) ?? [];
  const colon = inBrackets === undefined ? place.lastIndexOf(":") : -1;
  const isPortOnly = inBrackets === undefined && /^[0-9]+$/.test(place);
  const host = inBrackets ?? (isPortOnly ? "" : colon < 0 ? place : place.slice(0, colon));
  const digits = inBrackets !== undefined ? behind : isPortOnly ? place : place.slice(colon);
  return {
    scheme: scheme?.toLowerCase(),
    host: ownHost.has(host.toLowerCase()) ? undefined : host.toLowerCase(),
    port: isPortOnly || colon >= 0 || inBrackets !== undefined ? portOf(digits) : undefined,
    path,
  };
}

function portOf(text: string): number | undefined {
  const digits = text.replace(/^:/, "");
  const port = /^[0-9]{1,5}$/.test(digits) ? Number(digits) : 0;
  return port > 0 && port < 65_536 ? port : undefined;
}

/** Whether an address names this host, by one of its names, whole or without its domain. */
export function namesHost({ host }: Address, hostNames: readonly string[]): boolean {
  return (
    host !== undefined &&
    hostNames.some(
      (name) => name === host || name.startsWith(`${host}.`) || host.startsWith(`${name}.`),
    )
  );
}

/**
 * Of a list with commas, the entry of this host; else one that names no host; else the first. What is no list is taken as it is.
 * @param hostNames this host's, in lower case
 */
export function ownEntry(list: string, hostNames: readonly string[]): Address {
  const entries = list
    .split(",")
    .filter((entry) => entry.trim() !== "")
    .map(parseAddress);
  return (
    entries.find((entry) => namesHost(entry, hostNames)) ??
    entries.find(({ host }) => host === undefined) ??
    entries[0] ??
    parseAddress("")
  );
}
