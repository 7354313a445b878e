import type { Json } from "../json.js";
import { AlertDefinitionError } from "./definition-error.js";

/** Thrown when an expression cannot be calculated with these values: a division by zero, a value that is no number. */
export class ArithmeticError extends Error {
  override readonly name = "ArithmeticError";
}

const longestExpression = 1_000;
const deepest = 50;
const number = /(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]+)?/y;
const placeholder = /\{([0-9]{1,3})\}/y;
const operator = /\*\*|\/\/|[-+*/%()]/y;

/**
 * Calculates what Ambari has Python do: numbers, `{0}` for the values, `+ - * / // % **` and parentheses, with Python's precedence.
 * Nothing else is understood, so nothing can be run.
 * @throws AlertDefinitionError for what is no such expression, ArithmeticError for values that do not fit
 */
export function calculate(expression: string, values: readonly Json[]): number {
  if (expression.length > longestExpression) {
    throw new AlertDefinitionError(
      `its expression has ${expression.length} characters; at most ${longestExpression}`,
    );
  }
  const parser = new Parser(expression, values);
  const result = parser.sum(0);
  parser.end();
  if (!Number.isFinite(result)) throw new ArithmeticError(`${shown(expression)} is not finite`);
  return result;
}

class Parser {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly values: readonly Json[],
  ) {}

  sum(depth: number): number {
    if (depth > deepest) throw new AlertDefinitionError("its expression is nested too deeply");
    let left = this.product(depth);
    for (;;) {
      if (this.take("+")) left += this.product(depth);
      else if (this.take("-")) left -= this.product(depth);
      else return left;
    }
  }

  private product(depth: number): number {
    let left = this.signed(depth);
    for (;;) {
      if (this.take("*")) left *= this.signed(depth);
      else if (this.take("/")) left /= this.divisor(depth);
      else if (this.take("//")) left = Math.floor(left / this.divisor(depth));
      else if (this.take("%")) {
        const right = this.divisor(depth);
        left -= right * Math.floor(left / right); // has the sign of the divisor, as in Python
      } else return left;
    }
  }

  private divisor(depth: number): number {
    const value = this.signed(depth);
    if (value === 0) throw new ArithmeticError(`a division by zero in ${shown(this.text)}`);
    return value;
  }

  private signed(depth: number): number {
    let negative = false;
    for (;;) {
      if (this.take("-")) negative = !negative;
      else if (!this.take("+")) break;
    }
    const value = this.power(depth);
    return negative ? -value : value;
  }

  private power(depth: number): number {
    const base = this.atom(depth);
    if (!this.take("**")) return base;
    if (depth >= deepest) throw new AlertDefinitionError("its expression is nested too deeply");
    return base ** this.signed(depth + 1);
  }

  private atom(depth: number): number {
    if (this.take("(")) {
      const value = this.sum(depth + 1);
      if (!this.take(")")) throw this.unexpected();
      return value;
    }
    const index = this.match(placeholder)?.[1];
    if (index !== undefined) return this.value(Number(index));
    const [digits] = this.match(number) ?? [];
    if (digits === undefined) throw this.unexpected();
    return Number(digits);
  }

  private value(index: number): number {
    const value = this.values[index];
    if (value === undefined) {
      throw new AlertDefinitionError(
        `its expression asks for {${index}}, and there are ${this.values.length} values, from {0}`,
      );
    }
    const found = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof found === "number" && Number.isFinite(found)) return found;
    const what = (JSON.stringify(value) ?? "").slice(0, 100);
    throw new ArithmeticError(`{${index}} is ${what}, which is no number`);
  }

  /** Whether this very operator comes next; then it is passed. */
  private take(wanted: string): boolean {
    const before = this.at;
    if (this.match(operator)?.[0] === wanted) return true;
    this.at = before;
    return false;
  }

  private match(token: RegExp): RegExpExecArray | null {
    while (/\s/.test(this.text[this.at] ?? "")) this.at += 1;
    token.lastIndex = this.at;
    const found = token.exec(this.text);
    if (found !== null) this.at = token.lastIndex;
    return found;
  }

  end(): void {
    if (this.text.slice(this.at).trim() !== "") throw this.unexpected();
  }

  private unexpected(): AlertDefinitionError {
    const rest = this.text.slice(this.at).trim();
    const what = rest === "" ? "it ends" : JSON.stringify(rest.slice(0, 50));
    return new AlertDefinitionError(
      `its expression ${shown(this.text)} is not arithmetic with {0}, {1}, … at: ${what}`,
    );
  }
}

function shown(expression: string): string {
  return JSON.stringify(expression.slice(0, 100));
}
