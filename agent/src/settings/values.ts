import { parseListenAddress } from "@howdah/rpc/listen-address";

/** Thrown when a value cannot be what its key asks for; the message follows the key's name. */
export class ValueError extends Error {
  override readonly name = "ValueError";
}

/** What values a key takes. */
export interface ValueKind<T> {
  /** For the operator: type and range. */
  readonly values: string;
  /** Throws ValueError. The text is not empty. */
  readonly read: (text: string) => T;
}

/** Any text. */
export const text: ValueKind<string> = { values: "text", read: (value) => value };

/** A path from the root. */
export const path: ValueKind<string> = {
  values: "absolute path",
  read(value) {
    if (!value.startsWith("/")) throw new ValueError("must be an absolute path");
    return value === "/" ? value : value.replace(/\/+$/, "");
  },
};

/** Addresses with commas between them. */
export const addresses: ValueKind<readonly string[]> = {
  values: "`HOST:PORT`, with commas between several",
  read(value) {
    const list = value.split(",").map((item) => item.trim());
    const named = list.filter((item) => item !== "");
    if (named.length === 0) throw new ValueError("is empty");
    for (const address of named) {
      if (!isAddress(address)) {
        throw new ValueError(
          `${JSON.stringify(address)} is no address; write HOST:PORT, such as dispatcher.example.com:7440, with commas between several`,
        );
      }
    }
    return named;
  },
};

function isAddress(text: string): boolean {
  try {
    return parseListenAddress(text).port > 0;
  } catch {
    return false;
  }
}

/** A name by which a fleet knows a host, in lower case. */
export const hostName: ValueKind<string> = {
  values: "at most 255 characters, no white space",
  read(value) {
    if (value.length > 255) throw new ValueError("has more than 255 characters");
    if (!/^[^\s\p{Cc}]+$/u.test(value)) {
      throw new ValueError("has white space or control characters");
    }
    return value.toLowerCase();
  },
};

/** The value of a label. */
export const labelValue: ValueKind<string> = {
  values: "at most 63 characters",
  read(value) {
    if (value.length > 63) throw new ValueError("has more than 63 characters");
    return value;
  },
};

/** One of a few words. */
export function oneOf<const T extends string>(...words: T[]): ValueKind<T> {
  const values = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  return {
    values,
    read(value) {
      const word = words.find((word) => word === value);
      if (word === undefined) throw new ValueError(`must be ${values}`);
      return word;
    },
  };
}

/** Yes or no; Ambari's 1 and 0 will do. */
export const flag: ValueKind<boolean> = {
  values: "true or false",
  read(value) {
    if (value === "true" || value === "1") return true;
    if (value === "false" || value === "0") return false;
    throw new ValueError("must be true or false");
  },
};

/** A whole number. */
export function count(least: number, most: number): ValueKind<number> {
  const values = `${least} to ${most}`;
  return {
    values,
    read(value) {
      const number = /^[0-9]{1,9}$/.test(value) ? Number(value) : Number.NaN;
      if (number >= least && number <= most) return number;
      throw new ValueError(`${JSON.stringify(value)} must be a whole number, ${values}`);
    },
  };
}

/** A number with a unit, read into the smallest; `off` is 0 where it is allowed. */
function withUnit(
  units: Readonly<Record<string, number>>,
  what: string,
  example: string,
  [least, most]: readonly [string, string],
  off: boolean,
): ValueKind<number> {
  const form = new RegExp(`^([0-9]{1,9})(${Object.keys(units).join("|")})$`);
  const parse = (value: string) => {
    const [, number, unit = ""] = form.exec(value) ?? [];
    return Number(number) * (units[unit] ?? Number.NaN);
  };
  const range = `${least} to ${most}${off ? ", or off" : ""}`;
  return {
    values: range,
    read(value) {
      if (off && value === "off") return 0;
      const number = parse(value);
      if (number >= parse(least) && number <= parse(most)) return number;
      throw new ValueError(`${JSON.stringify(value)} is no ${what}; write ${example}, ${range}`);
    },
  };
}

const times = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes = { KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** A duration such as `30s`, `5m`, `2h` or `7d`, in milliseconds. */
export function duration(least: string, most: string): ValueKind<number> {
  return withUnit(times, "duration", "30s, 5m, 2h or 7d", [least, most], false);
}

/** A duration, or `off`, which is 0. */
export function durationOrOff(least: string, most: string): ValueKind<number> {
  return withUnit(times, "duration", "30s, 5m, 2h or 7d", [least, most], true);
}

/** A size such as `100MB`, in bytes; KB are thousands. */
export function size(least: string, most: string): ValueKind<number> {
  return withUnit(sizes, "size", "500KB, 100MB or 2GB", [least, most], false);
}
