import { type HeaderRule, headerRules, proxyHeaders } from '../../packages/identity/src/index.ts';

const rules: readonly HeaderRule[] = headerRules;
const everyKind = Object.keys(headerRules[0].present).length;

/** Returns the components that a signature covers, in order, and the signature's headers, as a Markdown table. */
export function headersTable(): string {
  const derived = ['@method', '@path', '@query'].map((name, index) => row(index + 1, name, 'always', 'section 4', ''));
  const headers = rules.map((rule, index) =>
    row(rule.covered ? index + 4 : '', rule.name, presence(rule), rule.grammar.text, rule.meaning),
  );
  const head = ['| # | component or header | present | value | meaning |', '|---|---|---|---|---|'];
  return [...head, ...derived, ...headers].join('\n');
}

const row = (number: number | '', name: string, present: string, value: string, meaning: string) =>
  `| ${number} | \`${name}\` | ${present} | ${value} | ${meaning} |`;

/** Returns the headers of other proxies that the gateway removes from requests, as a Markdown list. */
export function proxyHeadersList(): string {
  const lines = Object.entries(proxyHeaders).map(
    ([about, names]) => `- ${about}: ${names.map((name) => `\`${name}\``).join(', ')}`,
  );
  return lines.map(wrapped).join('\n');
}

/** Wraps a list item at 120 characters. */
const wrapped = (line: string): string =>
  line.split(' ').reduce((text, word) => {
    const last = text.slice(text.lastIndexOf('\n') + 1);
    return `${text}${last.length + word.length < 119 ? ' ' : '\n  '}${word}`;
  });

function presence({ present, name, covered, onlyWith }: HeaderRule): string {
  const kinds = Object.entries(present);
  if (kinds.every(([, how]) => how === 'required') && kinds.length === everyKind) return 'always';
  if (name === 'content-digest') return 'section 6';
  if (onlyWith !== undefined) return `with \`${onlyWith}\``;
  if (covered && kinds.every(([, how]) => how === 'optional') && kinds.length === everyKind) return 'optional';
  return kinds
    .map(([kind, how]) =>
      how === 'required' ? `\`${kind}\`` : how === 'optional' ? `\`${kind}\`, optional` : `\`${kind}\`, see below`,
    )
    .join('; ');
}
