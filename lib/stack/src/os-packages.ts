import { child, childFlag, children, childText, type XmlElement } from "./xml.js";

/** The packages that a service needs on some systems, as its metainfo.xml states them. */
export interface RawOsPackages {
  /** Such as `redhat8`; `any` for all. */
  readonly osFamilies: readonly string[];
  readonly packages: readonly RawOsPackage[];
}

interface RawOsPackage {
  readonly name: string;
  /** Names the function by which scripts decide whether it is needed; empty for always. */
  readonly condition: string;
  readonly skipUpgrade: boolean;
}

/** Reads a service's `osSpecifics`; undefined when it has none. */
export function parseOsPackages(service: XmlElement): RawOsPackages[] | undefined {
  const element = child(service, "osSpecifics");
  return (
    element &&
    children(element, "osSpecific").map((each) => ({
      osFamilies: (childText(each, "osFamily") ?? "")
        .split(",")
        .map((family) => family.trim())
        .filter((family) => family !== ""),
      packages: children(child(each, "packages"), "package").flatMap((one) => {
        const name = childText(one, "name");
        if (name === undefined) return [];
        const condition = childText(one, "condition") ?? "";
        return [{ name, condition, skipUpgrade: childFlag(one, "skipUpgrade") }];
      }),
    }))
  );
}
