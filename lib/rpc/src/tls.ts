import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { ChannelCredentials, ServerCredentials } from "@grpc/grpc-js";

/** The TLS files of a server, in PEM. */
export interface TlsFiles {
  /** The server's certificate, followed by those between it and the root. */
  certFile: string;
  /** The private key of the certificate. */
  keyFile: string;
  /** The certificates that client certificates must come from. Without it clients are not asked for any. */
  caFile?: string | undefined;
  /**
   * Refuse clients without a valid certificate. Default true where `caFile` is given. With false such clients get in, and
   * have no identity.
   */
  requireClientCertificate?: boolean | undefined;
}

/** The TLS files of a client, in PEM. All are optional: `{}` means TLS with the system's roots and no certificate. */
export interface ClientTlsFiles {
  /** The certificates that the server's must come from. Default: the roots that Node knows. */
  caFile?: string | undefined;
  /** The client's own certificate; goes with `keyFile`. */
  certFile?: string | undefined;
  /** The private key of `certFile`. */
  keyFile?: string | undefined;
  /** The name that the server's certificate must have, where it is not the host of the address. */
  serverName?: string | undefined;
}

/** Thrown when a TLS file is missing, cannot be read or does not hold what it should; names the file. */
export class TlsFileError extends Error {
  override name = "TlsFileError";
}

/** What a TLS server is made with: contents, not names. Also what Node's own `https` and `http2` servers take. */
export interface ServerTls {
  cert: Buffer;
  key: Buffer;
  ca?: Buffer;
  requestCert: boolean;
  rejectUnauthorized: boolean;
}

/** Reads and checks a server's files. Throws TlsFileError. */
export function readServerTls(files: TlsFiles): ServerTls {
  const pair = readPair(files.certFile, files.keyFile);
  const ca = files.caFile === undefined ? undefined : readCertificates(files.caFile);
  if (ca === undefined && files.requireClientCertificate === true) {
    throw new TlsFileError(
      "client certificates are required but no caFile says where they must come from",
    );
  }
  return {
    ...pair,
    ...(ca === undefined ? {} : { ca }),
    requestCert: ca !== undefined,
    rejectUnauthorized: ca !== undefined && files.requireClientCertificate !== false,
  };
}

/** The credentials of a grpc-js server; plaintext without files. Throws TlsFileError. */
export function serverCredentials(files: TlsFiles | undefined): ServerCredentials {
  if (files === undefined) return ServerCredentials.createInsecure();
  return new FileCredentials(readServerTls(files));
}

/** The credentials of a grpc-js channel; plaintext without files. Throws TlsFileError. */
export function channelCredentials(files: ClientTlsFiles | undefined): ChannelCredentials {
  if (files === undefined) return ChannelCredentials.createInsecure();
  const { caFile, certFile, keyFile } = files;
  const ca = caFile === undefined ? null : readCertificates(caFile);
  if (certFile === undefined && keyFile === undefined) return ChannelCredentials.createSsl(ca);
  if (certFile === undefined)
    throw new TlsFileError(`keyFile ${keyFile} is given without a certFile`);
  if (keyFile === undefined)
    throw new TlsFileError(`certFile ${certFile} is given without a keyFile`);
  const { key, cert } = readPair(certFile, keyFile);
  return ChannelCredentials.createSsl(ca, key, cert);
}

/** grpc-js's own `createSsl` cannot ask for a client certificate without also requiring it. */
class FileCredentials extends ServerCredentials {
  constructor({ requestCert, rejectUnauthorized, ...context }: ServerTls) {
    super({ requestCert, rejectUnauthorized, minVersion: "TLSv1.2" }, context);
  }
  override _equals(other: ServerCredentials): boolean {
    return other === this;
  }
}

function readPair(certFile: string, keyFile: string): { cert: Buffer; key: Buffer } {
  const cert = readCertificates(certFile);
  const key = read(keyFile, "private key");
  const privateKey = parse(keyFile, "private key", () => createPrivateKey(key));
  if (!new X509Certificate(cert).checkPrivateKey(privateKey)) {
    throw new TlsFileError(`private key ${keyFile} does not belong to certificate ${certFile}`);
  }
  return { cert, key };
}

function readCertificates(file: string): Buffer {
  const pem = read(file, "certificate");
  parse(file, "certificate", () => new X509Certificate(pem));
  return pem;
}

function read(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TlsFileError(`cannot read ${what} file ${file}: ${reason}`, { cause });
  }
}

function parse<T>(file: string, what: string, parser: () => T): T {
  try {
    return parser();
  } catch (cause) {
    throw new TlsFileError(`${file} does not hold a ${what} in PEM`, { cause });
  }
}
