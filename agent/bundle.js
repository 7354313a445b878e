// Makes the agent that is installed, out of what is compiled: `npm run bundle -w @howdah/agent` compiles first. Into dist/bundle, or the
// folder that is named, go the program as one file, which needs Node.js 20 and nothing else, and beside it the scripts it comes with and
// the licences of what is in it.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "dist", "bundle"));
const program = join(out, "howdah-agent.mjs");

/** What lies beside the program. */
const scripts = ["supervisor.sh", "ambari-sudo.sh", "howdah-env.sh", "bin/howdah-agent"];
const others = ["alert-script.py", "howdah-agent.ini"];

/** Loads .proto files for services that no agent has (channelz, ORCA); with it would come 300 KB and 2 MiB of memory. */
const noProtoLoader = {
  name: "no-proto-loader",
  /** @param {import("esbuild").PluginBuild} build */
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@grpc\/proto-loader$/ }, ({ path }) => ({ path, namespace: "none" }));
    onLoad({ filter: /.*/, namespace: "none" }, () => ({
      contents: 'exports.loadSync=()=>{throw new Error("proto files cannot be loaded here")}',
    }));
  },
};

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const { metafile, warnings } = await build({
  entryPoints: [join(here, "dist", "main.js")],
  outfile: program,
  bundle: true,
  platform: "node",
  target: "node20.11",
  format: "esm",
  // Not minified: half the size on the disk, but the same memory, and the log's stacks could not be read.
  legalComments: "none", // they are in LICENSES.txt
  plugins: [noProtoLoader],
  metafile: true,
  logLevel: "warning",
  // What is CommonJS in it asks for Node's own modules by require.
  banner: {
    js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
});
if (warnings.length > 0) process.exit(1);
for (const file of [...scripts, ...others]) {
  const to = join(out, basename(file));
  copyFileSync(join(here, file), to);
  chmodSync(to, scripts.includes(file) ? 0o755 : 0o644);
}
writeFileSync(join(out, "LICENSES.txt"), licences(Object.keys(metafile.inputs)));
process.stdout.write(
  `${relative(process.cwd(), program)}: ${readFileSync(program).length} bytes\n`,
);

/** The licences of every package whose files went in. @param {string[]} inputs */
function licences(inputs) {
  const folders = new Set(
    inputs
      .map(
        (input) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(join(process.cwd(), input))?.[1],
      )
      .filter((folder) => folder !== undefined && !folder.includes("@howdah")),
  );
  const parts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(
      readFileSync(join(folder, "package.json"), "utf8"),
    );
    const file = ["LICENSE", "LICENSE.md", "LICENSE.txt", "license", "license.md", "LICENCE"]
      .map((file) => join(folder, file))
      .find((path) => existsSync(path));
    const text =
      file === undefined ? noLicence(license) : `\n${readFileSync(file, "utf8").trim()}\n`;
    return `${name} ${version} (${license})\n${text}`;
  });
  return `What howdah-agent.mjs is made of, besides Howdah itself:\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

/** Some of those under the Apache License do not bring its text; it is Howdah's too. @param {string} license */
function noLicence(license) {
  if (!license.includes("Apache-2.0"))
    throw new Error(`a package under ${license} has no text of it`);
  return `\n${readFileSync(join(here, "..", "LICENSE"), "utf8").trim()}\n`;
}
