import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The files of TLS: one certificate of this machine for all, and what it was issued by. */
export interface Certificates {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Whether certificates can be made here. */
export function canMakeCertificates(): boolean {
  return spawnSync("openssl", ["version"]).status === 0;
}

/** Makes them in a folder, for a day, with the openssl command. */
export function makeCertificates(folder: string): Certificates {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const openssl = (...args: string[]) =>
    execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const ca = ["-subj", "/CN=bench authority", "-days", "1", "-keyout", "ca.key", "-out", "ca.pem"];
  openssl("req", "-x509", ...key, ...ca);
  openssl("req", "-new", ...key, "-subj", "/CN=bench", "-keyout", "key.pem", "-out", "csr.pem");
  writeFileSync(join(folder, "names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  const issue = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1"];
  openssl(
    ...["x509", "-req", "-in", "csr.pem", ...issue],
    ...["-extfile", "names", "-out", "cert.pem"],
  );
  return {
    caFile: join(folder, "ca.pem"),
    certFile: join(folder, "cert.pem"),
    keyFile: join(folder, "key.pem"),
  };
}
