#!/usr/bin/env node
// A buf plugin that writes the API reference, docs/api/api.md, from the comments of howdah.v1's protos.
import { ScalarType } from "@bufbuild/protobuf";
import { createEcmaScriptPlugin, getComments, runNodeJs } from "@bufbuild/protoplugin";

/** @param {import("@bufbuild/protobuf").AnyDesc} desc */
function comment(desc) {
  const text = desc.kind === "file" ? "" : (getComments(desc).leading ?? "");
  return text
    .split("\n")
    .map((line) => line.trim())
    .join("\n")
    .trim();
}

/** The comment as one cell of a table. @param {import("@bufbuild/protobuf").AnyDesc} desc */
const cell = (desc) => comment(desc).replaceAll("\n", " ").replaceAll("|", "\\|");

/** @param {string} name */
const anchor = (name) => name.toLowerCase().replaceAll(".", "");

/** @param {import("@bufbuild/protobuf").DescMessage | import("@bufbuild/protobuf").DescEnum} type */
function link(type) {
  const name = type.typeName.replace(/^howdah\.v1\./, "");
  return type.typeName.startsWith("howdah.v1.") ? `[${name}](#${anchor(name)})` : name;
}

/** @param {import("@bufbuild/protobuf").DescField} field @returns {string} */
function typeOf(field) {
  if (field.fieldKind === "map") {
    const value =
      field.mapKind === "scalar"
        ? ScalarType[field.scalar].toLowerCase()
        : link(field.message ?? field.enum);
    return `map of ${ScalarType[field.mapKey].toLowerCase()} to ${value}`;
  }
  const kind = field.fieldKind === "list" ? field.listKind : field.fieldKind;
  const name =
    kind === "scalar"
      ? ScalarType[field.scalar].toLowerCase()
      : link(kind === "message" ? field.message : field.enum);
  return field.fieldKind === "list" ? `repeated ${name}` : name;
}

/** @param {import("@bufbuild/protobuf").DescMethod} method */
function signature({ methodKind, input, output }) {
  const streams = {
    unary: ["", ""],
    server_streaming: ["", "stream "],
    client_streaming: ["stream ", ""],
    bidi_streaming: ["stream ", "stream "],
  };
  const [before, after] = streams[methodKind];
  return `${before}${link(input)} → ${after}${link(output)}`;
}

/** @param {import("@bufbuild/protobuf").DescMessage} message @returns {Generator<string>} */
function* messageLines(message) {
  yield `### ${message.typeName.replace(/^howdah\.v1\./, "")}\n\n${comment(message)}\n`;
  if (message.fields.length > 0) {
    yield "| field | type | |\n|---|---|---|";
    for (const field of message.fields)
      yield `| \`${field.name}\` | ${typeOf(field)} | ${cell(field)} |`;
    yield "";
  }
  for (const nested of message.nestedEnums) yield* enumLines(nested);
  for (const nested of message.nestedMessages) yield* messageLines(nested);
}

/** @param {import("@bufbuild/protobuf").DescEnum} type @returns {Generator<string>} */
function* enumLines(type) {
  yield `### ${type.typeName.replace(/^howdah\.v1\./, "")}\n\n${comment(type)}\n`;
  yield "| value | |\n|---|---|";
  for (const value of type.values) yield `| \`${value.name}\` | ${cell(value)} |`;
  yield "";
}

const plugin = createEcmaScriptPlugin({
  name: "protoc-gen-apidoc",
  version: "1",
  generateTs(schema) {
    const files = schema.files.filter((file) => file.proto.package === "howdah.v1");
    const out = schema.generateFile("api.md");
    out.print("# API reference");
    out.print("");
    out.print("Made from the comments in `proto/howdah/v1`; do not edit.");
    out.print("");
    for (const service of files.flatMap((file) => file.services)) {
      out.print(`## ${service.name}\n\n${comment(service)}\n`);
      for (const method of service.methods) {
        out.print(`**${method.name}**: ${signature(method)}\n\n${comment(method)}\n`);
      }
    }
    out.print("## Messages\n");
    for (const message of files.flatMap((file) => file.messages)) {
      for (const line of messageLines(message)) out.print(line);
    }
    out.print("## Enums\n");
    for (const type of files.flatMap((file) => file.enums))
      for (const line of enumLines(type)) out.print(line);
  },
});

runNodeJs(plugin);
