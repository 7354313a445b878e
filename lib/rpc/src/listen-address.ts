import { isIP } from "node:net";

/** Where a server listens or a client connects. */
export interface ListenAddress {
  /** A host name or an IP address; IPv6 without brackets. */
  readonly host: string;
  /** 0 to 65535; 0 means "any free port" for a server. */
  readonly port: number;
}

/**
 * Reads "host:port": "127.0.0.1:7400", "localhost:0", "[::1]:7400".
 * Throws an Error of one line that names the option, the value and what is wrong with it.
 * @param option the name of the setting that the address came from. Default "listen"
 */
export function parseListenAddress(text: string, option = "listen"): ListenAddress {
  const refuse = (why: string) =>
    new Error(
      `${option}: "${text}" ${why}; write it as HOST:PORT, such as 127.0.0.1:7400 or [::1]:7400`,
    );
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d+)$/.exec(text);
  if (match === null) {
    throw refuse(
      /:.*:/.test(text) ? "has an IPv6 address without brackets or no port" : "has no port",
    );
  }
  const [, bracketed, plain, digits] = match;
  const host = bracketed ?? plain ?? "";
  if (host === "") throw refuse("has no host");
  if (bracketed !== undefined && isIP(bracketed) !== 6)
    throw refuse("has no IPv6 address in its brackets");
  if (bracketed === undefined && !isHostName(host))
    throw refuse(`has no valid host name or IPv4 address`);
  const port = Number(digits);
  if (port > 65535) throw refuse("has a port above 65535");
  return { host, port };
}

/** Writes an address as "host:port", IPv6 in brackets. */
export function formatAddress({ host, port }: ListenAddress): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine can reach the address: 127.0.0.0/8, ::1 and "localhost". */
export function isLoopback({ host }: ListenAddress): boolean {
  if (isIP(host) === 4) return host.startsWith("127.");
  if (isIP(host) === 6) return new URL(`http://[${host}]`).hostname === "[::1]";
  return host === "localhost";
}

/**
 * Throws unless the address is one that only this machine can reach, or TLS is set up. The message names the option
 * and says how to make a certificate.
 * @param hasTls whether the server has a certificate
 * @param option the name of the setting that the address came from. Default "listen"
 */
export function assertListenAllowed(
  address: ListenAddress,
  hasTls: boolean,
  option = "listen",
): void {
  if (hasTls || isLoopback(address)) return;
  throw new Error(
    `${option}: ${formatAddress(address)} can be reached from other machines, which needs TLS; ` +
      "listen on 127.0.0.1, or set the TLS certificate and key files. To make a pair: " +
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 " +
      '-subj "/CN=$(hostname)" -addext "subjectAltName=DNS:$(hostname)" -keyout key.pem -out cert.pem',
  );
}

function isHostName(host: string): boolean {
  // What looks like an IPv4 address must be one: "300.1.1.1" is no name.
  if (/^[\d.]+$/.test(host)) return isIP(host) === 4;
  return host.length <= 253 && /^[A-Za-z0-9_]([A-Za-z0-9_-]*\.?)*$/.test(host);
}
