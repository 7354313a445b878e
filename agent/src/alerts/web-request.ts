import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { numberOf } from "./host-alert.js";
import { fillIn } from "./placeholders.js";
import type { WebAddress } from "./web-address.js";

const defaultSeconds = 5;
const longestSeconds = 300;

/** How long an Ambari `uri` block gives the server: `connection_timeout` seconds, 5 if it says nothing, and `read_timeout` on top. */
export function timeoutOf(uri: Json | undefined): number {
  const block = isJsonObject(uri) ? uri : {};
  const seconds =
    (positive(block.connection_timeout) ?? defaultSeconds) + (positive(block.read_timeout) ?? 0);
  return Math.min(longestSeconds, seconds) * 1_000;
}

function positive(value: Json | undefined): number | undefined {
  const number = numberOf(value);
  return number !== undefined && number > 0 ? number : undefined;
}

/** The URL, without a port that goes without saying. */
export function urlOf({ scheme, host, port, path }: WebAddress): string {
  const implied = port === (scheme === "https" ? 443 : 80);
  const name = host.includes(":") ? `[${host}]` : host;
  return `${scheme}://${name}${implied ? "" : `:${port}`}${path}`;
}

/** Thrown when a server wants Kerberos, which this agent does not speak. */
export class KerberosError extends Error {
  override readonly name = "KerberosError";
}

/**
 * Refuses what Ambari would ask by Kerberos: security is on and the definition names a keytab and a principal that are configured.
 * @throws KerberosError
 */
export function refuseKerberos(uri: Json | undefined, root: JsonObject): void {
  if (!isJsonObject(uri)) return;
  const isOn = fillIn("{{cluster-env/security_enabled}}", root)?.toLowerCase() === "true";
  const keytab = fillIn(uri.kerberos_keytab, root);
  const principal = fillIn(uri.kerberos_principal, root);
  if (!isOn || !keytab || !principal) return;
  throw new KerberosError(
    `The server wants Kerberos (${principal}), which this agent does not speak yet: check it by a SCRIPT alert`,
  );
}
