import { access, readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject } from "../json.js";

/** What stacks of Hadoop's world call their users, folders and packages' alternatives. */
const names: ReadonlySet<string> = new Set([
  ...["accumulo", "ambari-qa", "ams", "atlas", "druid", "falcon", "flink", "flume", "hadoop"],
  ...["hadoop-hdfs", "hadoop-mapreduce", "hadoop-yarn", "hbase", "hcat", "hdfs", "hive"],
  ...["hive-hcatalog", "hue", "infra-solr", "kafka", "knox", "kudu", "livy", "mahout", "mapred"],
  ...["nifi", "oozie", "ozone", "phoenix", "pig", "ranger", "slider", "solr", "spark", "spark2"],
  ...["spark3", "sqoop", "storm", "superset", "tez", "yarn", "yarn-ats", "zeppelin", "zookeeper"],
]);
const places = [
  ...["/etc", "/opt", "/usr/lib", "/var/lib", "/var/log", "/var/run", "/var/tmp", "/tmp"],
];
const mostListed = 200;

/** What an installation of a stack, former or present, has left on a host, by Ambari's names. Reads folders: not on a hot path. */
export async function stackLeftovers(): Promise<JsonObject> {
  return {
    existingUsers: await users(),
    alternatives: await alternatives(),
    stackFoldersAndFiles: await folders(),
  };
}

async function users(): Promise<JsonObject[]> {
  const text = await readFile("/etc/passwd", "utf8").catch(() => "");
  const rows = text.split("\n").map((line) => line.split(":"));
  return Promise.all(
    rows
      .filter(([name = ""]) => names.has(name))
      .slice(0, mostListed)
      .map(async ([name = "", , , , , homeDir = ""]) => {
        const there = await access(homeDir).then(
          () => true,
          () => false,
        );
        return { name, homeDir, status: there ? "Available" : "Invalid home directory" };
      }),
  );
}

async function alternatives(): Promise<JsonObject[]> {
  const folder = "/etc/alternatives";
  const entries = await readdir(folder).catch(() => []);
  const ours = entries.filter((name) => names.has(name.replace(/-(?:conf|client|server)$/, "")));
  return Promise.all(
    ours.slice(0, mostListed).map(async (name) => ({
      name,
      target: await readlink(join(folder, name)).catch(() => ""),
    })),
  );
}

async function folders(): Promise<JsonObject[]> {
  const found: string[] = [];
  for (const place of places) {
    for (const name of await readdir(place).catch(() => [])) {
      if (names.has(name)) found.push(join(place, name));
    }
  }
  return Promise.all(
    found.slice(0, mostListed).map(async (name) => {
      const is = await stat(name).catch(() => undefined);
      return { name, type: is?.isDirectory() === true ? "directory" : "file" };
    }),
  );
}
