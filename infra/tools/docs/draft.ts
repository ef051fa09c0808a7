import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { publishedKeys } from '../../../packages/identity/src/keys/published-keys.ts';
import { replaceBetween } from '../../measure/results/markdown.ts';
import { headersTable } from './tables.ts';

/** Sections of the specification are numbered two higher than those of docs/identity-contract.md. */
const renumber = (text: string) => text.replace(/\bsection (\d)\b/g, (_, n: string) => `Section ${Number(n) + 2}`);

/** What the specification shares with other pages: a mark, a page, the beginning, and the beginning of what follows. */
const excerpts: readonly (readonly [mark: string, page: string, first: string, after: string])[] = [
  ['usable', 'identity-contract.md', '- It is an object.', '**Why.** If `alg`'],
  ['verify', 'identity-contract.md', '    verify(method,', '- Times are whole'],
  ['response', 'identity-contract.md', '    HTTP/1.1 401', '`title` is any text.'],
  ['fetching', 'operations/verifiers.md', '- Configure the URL.', 'The gateway publishes a new key'],
  ['agreement', 'agreed-keys.md', '- `kty` is `OKP`', "A service's entry has"],
  ['derivation', 'agreed-keys.md', '    shared = X25519', 'X25519 is defined in'],
  ['agreed-vectors', 'agreed-keys.md', '[`agreed-vectors.json`]', ''],
  ['call', 'nested-calls.md', '| component | when |', '    "@method": POST'],
  ['nested-vectors', 'nested-calls.md', '`nested-vectors.json` has', ''],
  ['vectors', 'contract-vectors.md', '`verifier` is the configuration', '## Identity tokens'],
  ['answers', 'contract-vectors.md', 'Each of `answers` is', '## Published keys'],
];

function excerpt(page: string, first: string, after: string): string {
  const text = readFileSync(resolve(import.meta.dirname, '../../../docs', page), 'utf8');
  const start = text.indexOf(first);
  const end = after === '' ? text.length : text.indexOf(after, start);
  if (start === -1 || end === -1) throw new Error(`docs/${page} has no part from "${first}" to "${after}"`);
  const part = text.slice(start, end).trimEnd().replaceAll(/^## /gm, '#### ');
  return page === 'identity-contract.md' ? renumber(part) : part;
}

/** Fills in the parts of docs/draft-countersign-identity.md that other pages or the code have. */
export function draftPage(current: string): string {
  const lists = Object.entries(publishedKeys).map(([name, all]) => `\`${name}\`:\n\n    ${all.join('\n    ')}`);
  const parts: [mark: string, content: string][] = [
    ['headers', renumber(headersTable())],
    ...excerpts.map(([mark, ...of]): [string, string] => [mark, excerpt(...of)]),
    ['published', lists.join('\n\n')],
  ];
  return parts.reduce((page, [mark, content]) => replaceBetween(page, mark, content), current);
}
