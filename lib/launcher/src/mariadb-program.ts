import { access, constants, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";

const usualFolders = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin"];

// In this order: later ones use what earlier ones made. Releases from 11 on call them mariadb_….
const systemTables = ["system_tables.sql", "performance_tables.sql", "system_tables_data.sql"];

/** Thrown when MariaDB's server program, or a file that belongs to it, is not on this machine. */
export class MariadbMissingError extends Error {
  override readonly name = "MariadbMissingError";
}

async function has(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

/** The path of `mariadbd`, by default out of the PATH and the usual folders. Throws `MariadbMissingError`. */
export async function findMariadbd(
  folders = [...(process.env.PATH ?? "").split(":"), ...usualFolders],
): Promise<string> {
  for (const folder of folders) {
    const file = join(folder, "mariadbd");
    if (folder.startsWith("/") && (await has(file, constants.X_OK))) return file;
  }
  throw new MariadbMissingError(
    "MariaDB's server is missing: install the package mariadb-server-core (Debian, Ubuntu) or mariadb-server (others), so that `mariadbd` is on the PATH, or set HOWDAH_DATABASE_URL to a database you have",
  );
}

/** The SQL files that make the system tables of a new database, in their order. Throws `MariadbMissingError`. */
export async function findSystemTables(mariadbd: string): Promise<string[]> {
  const base = dirname(dirname(await realpath(mariadbd)));
  for (const folder of ["mysql", "mariadb", ""].map((name) => join(base, "share", name))) {
    for (const start of ["mysql_", "mariadb_"]) {
      const files = systemTables.map((name) => join(folder, start + name));
      const found = await Promise.all(files.map((file) => has(file, constants.R_OK)));
      if (found.every(Boolean)) return files;
    }
  }
  throw new MariadbMissingError(
    `the SQL files that make a new database are not below ${join(base, "share")}: install MariaDB's whole server package`,
  );
}
