import { type HeaderRule, headerRules, proxyHeaders } from '../../packages/identity/src/index.ts';

const rules: readonly HeaderRule[] = headerRules;
const everyKind = Object.keys(headerRules[0].present).length;

/** The headers that only the gateway writes, as a Markdown table. */
export function headersTable(): string {
  const rows = rules
    .filter(({ stripped }) => stripped)
    .map((rule) => `| \`${rule.name}\` | ${presence(rule)} | ${rule.grammar.text} | ${rule.meaning} |`);
  return ['| header | present | value | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

/** The headers of other proxies that the gateway removes from a client's request, as a Markdown list. */
export function proxyHeadersList(): string {
  const lines = Object.entries(proxyHeaders).map(
    ([about, names]) => `- ${about}: ${names.map((name) => `\`${name}\``).join(', ')}`,
  );
  return lines.map(wrapped).join('\n');
}

/** Breaks a list item where its lines would get longer than 120 characters. */
const wrapped = (line: string): string =>
  line.split(' ').reduce((text, word) => {
    const last = text.slice(text.lastIndexOf('\n') + 1);
    return `${text}${last.length + word.length < 119 ? ' ' : '\n  '}${word}`;
  });

/** What a signature covers, in its order, as a Markdown table. */
export function componentsTable(): string {
  const rows = rules
    .filter(({ covered }) => covered)
    .map((rule, index) => `| ${index + 4} | \`${rule.name}\` | ${coverage(rule)} | ${rule.grammar.text} |`);
  const derived = [
    '| 1 | `@method` | always | section 4 |',
    '| 2 | `@path` | always | section 4 |',
    '| 3 | `@query` | always | section 4 |',
  ];
  return ['| # | component | in the list | value |', '|---|---|---|---|', ...derived, ...rows].join('\n');
}

function presence({ present, name }: HeaderRule): string {
  const kinds = Object.entries(present);
  if (kinds.every(([, how]) => how === 'required') && kinds.length === everyKind) return 'always';
  if (name === 'content-digest') return 'section 6';
  return kinds
    .map(([kind, how]) =>
      how === 'required' ? `\`${kind}\`` : how === 'optional' ? `\`${kind}\`, optional` : `\`${kind}\`, see below`,
    )
    .join('; ');
}

function coverage(rule: HeaderRule): string {
  if (rule.coveredWith !== undefined) return `if present, and \`${rule.coveredWith}\` is too`;
  if (rule.onlyWith !== undefined) return 'see below';
  return presence(rule) === 'always' ? 'always' : 'if present';
}
