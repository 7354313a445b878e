import { isIP } from "node:net";
import { formatAddress, type ListenAddress, parseListenAddress } from "./listen-address.js";

/**
 * The name by which grpc-js knows where to connect to: "host:port" becomes a DNS name or an IP address, a list with
 * commas a list of IP addresses ("localhost" counts as 127.0.0.1).
 * Throws an Error of one line that names the option and the address that will not do.
 * @param option the name of the setting that the address came from
 */
export function connectTarget(text: string, option: string): string {
  const addresses = text.split(",").map((one) => parseListenAddress(one.trim(), option));
  const [first] = addresses;
  if (addresses.length === 1 && first !== undefined && isIP(first.host) === 0) {
    return `dns:///${formatAddress(first)}`;
  }
  const numeric = addresses.map((address) =>
    address.host === "localhost" ? { ...address, host: "127.0.0.1" } : address,
  );
  const families = new Set(numeric.map(({ host }) => isIP(host)));
  if (families.has(0) || families.size > 1) throw new Error(mixedList(numeric, option));
  return `${families.has(4) ? "ipv4" : "ipv6"}:${numeric.map(formatAddress).join(",")}`;
}

function mixedList(addresses: ListenAddress[], option: string): string {
  const list = addresses.map(formatAddress).join(",");
  return `${option}: "${list}" must hold IP addresses of one family; for several hosts by name, give one name that resolves to all of them`;
}
