import { SaxesParser } from "saxes";
import { StackError } from "./stack-error.js";

/** An element of an XML file: as much of it as stack definitions use. */
export interface XmlElement {
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** Its own character data, CDATA included, as written. */
  readonly text: string;
  /** Where its opening tag ends, from 1. */
  readonly line: number;
}

/** Reads one XML document into its root element; a malformed one is a {@link StackError} with the line. */
export function parseXml(content: string, file: string): XmlElement {
  const parser = new SaxesParser();
  const open: { name: string; children: XmlElement[]; text: string; line: number }[] = [];
  let root: XmlElement | undefined;
  const addText = (text: string) => {
    const element = open.at(-1);
    if (element) element.text += text;
  };
  parser.on("error", (error) => {
    // saxes begins its message with line:column:
    const problem = error.message.replace(/^\d+:\d+: /, "").replace(/\.$/, "");
    throw new StackError(file, `malformed XML: ${problem}`, parser.line);
  });
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("opentag", (tag) => {
    const element = { name: tag.name, children: [], text: "", line: parser.line };
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  });
  parser.on("closetag", () => {
    open.pop();
  });
  parser.write(content).close();
  if (!root) throw new StackError(file, "malformed XML: there is no element", 1);
  return root;
}

/** The first child of that name. */
export function child(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((each) => each.name === name);
}

/** All children of that name. */
export function children(element: XmlElement | undefined, name: string): readonly XmlElement[] {
  return element?.children.filter((each) => each.name === name) ?? [];
}

/** The trimmed text of the first child of that name; undefined when it is absent or blank. */
export function childText(element: XmlElement | undefined, name: string): string | undefined {
  return child(element, name)?.text.trim() || undefined;
}

/** True when the first child of that name says `true`. */
export function childFlag(element: XmlElement | undefined, name: string): boolean {
  return childText(element, name)?.toLowerCase() === "true";
}
