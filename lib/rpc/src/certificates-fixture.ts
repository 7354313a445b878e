// Certificates for the tests of this package, made with the openssl command.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { TestContext } from "node:test";

/** Why tests with certificates must be skipped; false where they need not. */
export const noOpenssl =
  spawnSync("openssl", ["version"]).status === 0 ? false : "the openssl command is not on the PATH";

/** A certificate authority in a folder of its own, removed when the test ends. */
export interface Authority {
  folder: string;
  caFile: string;
  /** Issues a certificate; `names` as openssl writes them: "DNS:localhost,URI:howdah://host/h1". */
  issue(commonName: string, names?: string): { certFile: string; keyFile: string };
}

export function createAuthority(t: TestContext): Authority {
  const folder = mkdtempSync(join(tmpdir(), "howdah-rpc-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  // Names differ: an authority that shares the name of another is another failure than one that nobody knows.
  const caFile = join(folder, "ca.pem");
  const caKey = join(folder, "ca.key");
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-subj",
    `/CN=authority of ${basename(folder)}`,
    "-days",
    "1",
    "-keyout",
    caKey,
    "-out",
    caFile,
  );
  let count = 0;
  return {
    folder,
    caFile,
    issue(commonName, names) {
      count += 1;
      const base = join(folder, `${count}`);
      const [certFile, keyFile, csr, extensions] = [".pem", ".key", ".csr", ".ext"].map(
        (end) => base + end,
      ) as [string, string, string, string];
      openssl(
        "req",
        "-new",
        ...newKey,
        "-subj",
        commonName === "" ? "/O=nameless" : `/CN=${commonName}`,
        "-keyout",
        keyFile,
        "-out",
        csr,
      );
      writeFileSync(extensions, names === undefined ? "" : `subjectAltName=${names}\n`);
      openssl(
        "x509",
        "-req",
        "-in",
        csr,
        "-CA",
        caFile,
        "-CAkey",
        caKey,
        "-CAcreateserial",
        "-days",
        "1",
        "-extfile",
        extensions,
        "-out",
        certFile,
      );
      return { certFile, keyFile };
    },
  };
}
