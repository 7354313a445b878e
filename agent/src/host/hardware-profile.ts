import { readlinkSync } from "node:fs";
import { cpus, hostname, machine, networkInterfaces, release, type, userInfo } from "node:os";
import { numberOf, readText } from "./read-text.js";

/** A value of a host's facts. */
export type Fact = string | number | boolean;

/**
 * What the host is, by Ambari's names: `hardwareProfile` of its agents without `mounts`. Read from /proc, /sys and /etc, which answer
 * at once.
 * @param fleetName the host's name in the fleet
 */
export function hardwareProfile(fleetName: string): Record<string, Fact> {
  const kernelRelease = release();
  const kernelVersion = /^\d+(?:\.\d+)*/.exec(kernelRelease)?.[0] ?? kernelRelease;
  return {
    id: userName(),
    hostname: hostname(),
    fqdn: fleetName,
    domain: fleetName.includes(".") ? fleetName.slice(fleetName.indexOf(".") + 1) : "",
    ...system(),
    kernel: type(),
    kernelrelease: kernelRelease,
    kernelversion: kernelVersion,
    kernelmajversion: kernelVersion.split(".").slice(0, 2).join("."),
    architecture: machine(),
    hardwareisa: machine(),
    hardwaremodel: machine(),
    ...processors(),
    timezone: timeZone(),
    selinux: readText("/sys/fs/selinux/enforce").trim() === "1",
    ...network(),
    ...virtual(),
    ...memory(),
    ...uptime(),
    node: process.version,
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? ""); // a user without an entry, as containers have
  }
}

/** Ambari's families; a system of none of them is its own. */
const families: readonly (readonly [RegExp, string])[] = [
  [/\b(?:rhel|centos|fedora|rocky|almalinux|ol|amzn)\b/, "redhat"],
  [/\bubuntu\b/, "ubuntu"],
  [/\bdebian\b/, "debian"],
  [/\b(?:suse|sles|opensuse)\b/, "suse"],
];

/** From /etc/os-release. */
export function system(text = readText("/etc/os-release")): Record<string, Fact> {
  const value = (key: string) => new RegExp(`^${key}="?([^"\\n]*)"?$`, "m").exec(text)?.[1] ?? "";
  const id = value("ID") || type().toLowerCase();
  const known = `${id} ${value("ID_LIKE")}`;
  return {
    operatingsystem: id,
    operatingsystemrelease: value("VERSION_ID"),
    osfamily: families.find(([names]) => names.test(known))?.[1] ?? id,
  };
}

function processors(): Record<string, Fact> {
  const physical = new Set(readText("/proc/cpuinfo").match(/^physical id\s*:.*$/gm) ?? []);
  return { processorcount: cpus().length, physicalprocessorcount: Math.max(1, physical.size) };
}

function timeZone(): string {
  try {
    const zone = /zoneinfo\/(.+)$/.exec(readlinkSync("/etc/localtime"))?.[1];
    if (zone !== undefined) return zone;
  } catch {
    // No link: a copy of a zone, or none at all.
  }
  return process.env.TZ || readText("/etc/timezone").trim() || "UTC";
}

/** `interfaces` are all that have an address; the address, mask and MAC are those of the one with the default route. */
function network(): Record<string, Fact> {
  const all = networkInterfaces();
  const names = Object.keys(all);
  const routed = readText("/proc/net/route")
    .split("\n")
    .map((line) => line.split("\t"))
    .find(([, destination]) => destination === "00000000")?.[0];
  const addresses = (name: string) => (all[name] ?? []).filter(({ internal }) => !internal);
  const main = [...(routed === undefined ? [] : [routed]), ...names].find(
    (name) => addresses(name).length > 0,
  );
  const own = main === undefined ? [] : addresses(main);
  const address = own.find(({ family }) => family === "IPv4") ?? own[0];
  return {
    interfaces: names.join(","),
    ipaddress: address?.address ?? "",
    netmask: address?.netmask ?? "",
    macaddress: (address?.mac ?? "").toUpperCase(),
  };
}

const vendors: readonly (readonly [RegExp, string])[] = [
  [/vmware/i, "vmware"],
  [/virtualbox|innotek/i, "virtualbox"],
  [/microsoft/i, "hyperv"],
  [/xen/i, "xen"],
  [/amazon|google|openstack|kvm|qemu|bochs|red hat/i, "kvm"],
];

/** Whether processes here are a container's, told by what container engines leave behind. */
export function inContainer(): boolean {
  if (readText("/run/.containerenv") !== "" || process.env.container !== undefined) return true;
  if (readText("/proc/1/mountinfo").includes("/.dockerenv")) return true;
  return /docker|containerd|kubepods|lxc|libpod/.test(readText("/proc/1/cgroup"));
}

function virtual(): Record<string, Fact> {
  if (inContainer()) return { virtual: "container", is_virtual: true };
  const board = ["sys_vendor", "product_name"].map((name) => readText(`/sys/class/dmi/id/${name}`));
  const isGuest = /^flags\s*:.*\bhypervisor\b/m.test(readText("/proc/cpuinfo"));
  const kind = vendors.find(([name]) => name.test(board.join(" ")))?.[1] ?? "unknown";
  return isGuest ? { virtual: kind, is_virtual: true } : { virtual: "physical", is_virtual: false };
}

/** In KiB; swap as Ambari writes it. */
function memory(): Record<string, Fact> {
  const text = readText("/proc/meminfo");
  const kb = (key: string) => numberOf(text, key) ?? 0;
  const gb = (key: string) => `${(kb(key) / 1_048_576).toFixed(2)} GB`;
  return {
    memorysize: kb("MemTotal"),
    memorytotal: kb("MemTotal"),
    memoryfree: kb("MemFree"),
    swapsize: gb("SwapTotal"),
    swapfree: gb("SwapFree"),
  };
}

function uptime(): Record<string, Fact> {
  const seconds = Math.floor(Number.parseFloat(readText("/proc/uptime")) || 0);
  return {
    uptime_seconds: String(seconds),
    uptime_hours: String(Math.floor(seconds / 3_600)),
    uptime_days: String(Math.floor(seconds / 86_400)),
  };
}
