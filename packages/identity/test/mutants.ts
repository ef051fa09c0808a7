import { parseSync } from '@swc/core';

/** A change to one source file that weakens, or at least changes, a decision. */
export type Mutant = Readonly<{ line: number; before: string; after: string; source: string }>;

type Node = Readonly<{ type: string; span: { start: number; end: number } }> & Record<string, unknown>;

/**
 * Every mutant of a source file: conditions that always or never hold, operands of `&&` and `||` left out, bounds
 * moved by one, anchors and look-aheads removed from expressions, character classes widened, and facts of the
 * contract's table changed.
 *
 * @param skipped Names of top-level functions that are left as they are.
 * @param ignored Parts of lines that are left as they are.
 */
export function mutantsOf(source: string, skipped: readonly string[], ignored: readonly string[]): Mutant[] {
  const bytes = Buffer.from(source);
  const tree = parseSync(source, { syntax: 'typescript' }) as unknown as Node;
  const offset = tree.span.start - leadingBytes(source);
  const at = (node: Node) => [node.span.start - offset, node.span.end - offset] as const;
  const textOf = (node: Node) => bytes.subarray(...at(node)).toString();
  const mutants: Mutant[] = [];

  function replace(node: Node, ...replacements: string[]): void {
    const [start, end] = at(node);
    const before = textOf(node);
    const line = bytes.subarray(0, start).toString().split('\n').length;
    for (const after of new Set(replacements)) {
      if (after === before) continue;
      const changed = Buffer.concat([bytes.subarray(0, start), Buffer.from(after), bytes.subarray(end)]);
      mutants.push({ line, before, after, source: changed.toString() });
    }
  }

  function visit(node: Node): void {
    const child = (name: string) => node[name] as Node;
    if (
      node.type === 'FunctionDeclaration' &&
      skipped.includes((child('identifier') as unknown as { value: string }).value)
    )
      return;
    if (node.type.startsWith('Ts') || node.type === 'ImportDeclaration') return;
    if (node.type === 'IfStatement' || node.type === 'ConditionalExpression') replace(child('test'), 'true', 'false');
    if (node.type === 'BinaryExpression') {
      const operator = node.operator as string;
      const [left, right] = [textOf(child('left')), textOf(child('right'))];
      if (operator === '&&' || operator === '||') replace(node, left, right);
      const moved = ({ '<': '<=', '<=': '<', '>': '>=', '>=': '>' } as Record<string, string>)[operator];
      if (moved !== undefined) replace(node, `${left} ${moved} ${right}`);
    }
    if (node.type === 'NumericLiteral') replace(node, String(Number(node.value) + 1), String(Number(node.value) - 1));
    if (node.type === 'RegExpLiteral')
      replace(
        node,
        ...weakerExpressions(node.pattern as string).map((pattern) => `/${pattern}/${node.flags}`),
        ...(hasOneCase(node.pattern as string) ? [`${textOf(node)}i`] : []),
      );
    // Expressions that are assembled from strings.
    if (node.type === 'StringLiteral' || node.type === 'TemplateLiteral') {
      const text = textOf(node);
      if (/\[.*\]|\{\d/.test(text)) replace(node, ...weakerExpressions(text));
    }
    if (node.type === 'BooleanLiteral') replace(node, String(!(node.value as boolean)));
    if (node.type === 'StringLiteral' && ['required', 'all-or-none'].includes(node.value as string))
      replace(node, "'optional'");
    if (node.type === 'KeyValueProperty') {
      const { value: key } = node.key as { value?: string };
      if (key !== undefined && ['onlyWith', 'coveredWith', 'prefix', 'user', 'client', 'service'].includes(key))
        // A property does not have its own span.
        replace(
          { ...node, span: { start: child('key').span.start, end: child('value').span.end } },
          `not_${key}: undefined as never`,
        );
    }
    for (const value of Object.values(node))
      for (const inner of Array.isArray(value) ? value : [value]) {
        const found = inner?.expression?.type !== undefined && inner.type === undefined ? inner.expression : inner;
        if (typeof found === 'object' && found !== null && typeof (found as Node).type === 'string')
          visit(found as Node);
      }
  }

  visit(tree);
  const sourceLines = source.split('\n');
  return mutants.filter(({ line }) => !ignored.some((part) => sourceLines[line - 1]?.includes(part)));
}

/** Whether upper and lower case matter. */
const hasOneCase = (pattern: string) => /a-[zf]/.test(pattern) !== /A-Z|[@?]-\[/.test(pattern);

/** swc counts from the first token, which a comment is not. */
function leadingBytes(source: string): number {
  let rest = source;
  for (;;) {
    const next = rest
      .replace(/^\s+/, '')
      .replace(/^\/\/[^\n]*\n/, '')
      .replace(/^\/\*[\s\S]*?\*\//, '');
    if (next === rest) return Buffer.byteLength(source) - Buffer.byteLength(rest);
    rest = next;
  }
}

/** What a careless expression accepts in addition, each with a character that a stricter one refuses. */
const widenings: readonly (readonly [range: string, example: string])[] = [
  ['A-Z', 'Z'],
  ['a-z', 'z'],
  ['_', '_'],
  ['.', '.'],
  ['/', '/'],
  ['+', '+'],
  [' ', ' '],
  ['\\n', '\n'],
  ['\\u0080-\\u00ff', '\u00e9'],
];

const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index));

/**
 * The same expression without an anchor or a look-ahead, with another bound, or with one character more in a class.
 */
export function weakerExpressions(pattern: string): string[] {
  const weaker: string[] = [];
  const put = (start: number, length: number, text: string) =>
    weaker.push(pattern.slice(0, start) + text + pattern.slice(start + length));
  for (const { index, 0: found } of pattern.matchAll(/^['`"]?\^|\$(?=$|\)|`)|\(\?[=!][^)]*\)/g))
    put(index, found.length, '');
  for (const { index, 0: found, 1: low, 2: high } of pattern.matchAll(/(?<!\$)\{(\d+)(?:,(\d+))?\}/g)) {
    const [min, max] = [Number(low), Number(high ?? low)];
    put(index, found.length, `{${min},${max + 1}}`);
    if (min > 0) put(index, found.length, `{${min - 1},${max}}`);
  }
  for (const { index, 0: found } of pattern.matchAll(/\[(?:\\.|[^\]\\])+\]/g)) {
    const expression = new RegExp(`^${found}$`);
    if (found.startsWith('[^')) {
      for (const one of printable.filter((character) => expression.test(character))) {
        put(index, found.length, `[^${/[\]\\^-]/.test(one) ? '\\' : ''}${one}${found.slice(2)}`);
      }
    } else {
      for (const [range, example] of widenings) {
        if (!expression.test(example)) put(index, found.length, `[${range}${found.slice(1)}`);
      }
    }
  }
  return weaker;
}
