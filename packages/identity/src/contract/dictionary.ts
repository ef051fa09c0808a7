/** A string with exactly one parameter, which is a string too: `"alice";iss="https://issuer.example"`. */
export type ParameterizedString = Readonly<{ text: string; parameter: string; value: string }>;
export type DictionaryValue = string | number | readonly string[] | ParameterizedString;

/**
 * Parses the subset of RFC 9651 dictionaries that the contract uses: strings, strings with one parameter, integers and
 * inner lists of strings. It runs in one pass, without backtracking. It is stricter than the RFC in four places: a
 * repeated key is refused (the RFC keeps the last value), an integer has no sign and no leading zero, a string has no
 * escapes, and there is no space before a parameter.
 *
 * @returns undefined if the input is malformed.
 */
export function parseDictionary(input: string): Map<string, DictionaryValue> | undefined {
  const members = new Map<string, DictionaryValue>();
  const cursor = new Cursor(input);
  cursor.skip(' ');
  while (!cursor.atEnd) {
    const key = cursor.take(keyPattern);
    if (key === undefined || members.has(key) || !cursor.eat('=')) return undefined;
    const value = takeValue(cursor);
    if (value === undefined) return undefined;
    members.set(key, value);
    cursor.skip(' \t');
    if (cursor.atEnd) break;
    if (!cursor.eat(',')) return undefined;
    cursor.skip(' \t');
    if (cursor.atEnd) return undefined; // RFC 9651 section 4.2.2 refuses a trailing comma.
  }
  return members;
}

const keyPattern = /[a-z*][a-z0-9_.*-]*/y;
const integerPattern = /(?:0|[1-9][0-9]{0,14})(?![0-9.])/y;
const stringPattern = /"[ !#-[\]-~]*"/y;

function takeValue(cursor: Cursor): DictionaryValue | undefined {
  if (cursor.next === '"') return takeItem(cursor);
  if (cursor.eat('(')) return takeInnerList(cursor);
  const digits = cursor.take(integerPattern);
  return digits === undefined ? undefined : Number(digits);
}

function takeItem(cursor: Cursor): string | ParameterizedString | undefined {
  const text = takeString(cursor);
  if (text === undefined || !cursor.eat(';')) return text;
  const parameter = cursor.take(keyPattern);
  if (parameter === undefined || !cursor.eat('=')) return undefined;
  const value = takeString(cursor);
  return value === undefined ? undefined : { text, parameter, value };
}

function takeString(cursor: Cursor): string | undefined {
  return cursor.take(stringPattern)?.slice(1, -1);
}

function takeInnerList(cursor: Cursor): string[] | undefined {
  const items: string[] = [];
  for (;;) {
    cursor.skip(' ');
    if (cursor.eat(')')) return items;
    const item = takeString(cursor);
    if (item === undefined || (cursor.next !== ' ' && cursor.next !== ')')) return undefined;
    items.push(item);
  }
}

class Cursor {
  readonly #input: string;
  #at = 0;

  constructor(input: string) {
    this.#input = input;
  }

  get atEnd(): boolean {
    return this.#at >= this.#input.length;
  }

  get next(): string {
    return this.#input.charAt(this.#at);
  }

  eat(character: string): boolean {
    if (this.next !== character) return false;
    this.#at += 1;
    return true;
  }

  skip(characters: string): void {
    while (!this.atEnd && characters.includes(this.next)) this.#at += 1;
  }

  /** @param pattern A sticky regular expression. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#input)?.[0];
    if (match !== undefined) this.#at += match.length;
    return match;
  }
}
