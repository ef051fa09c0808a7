import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { de } from './de.ts';
import { en } from './en.ts';
import { errorText, knownErrorText } from './error-texts.ts';

type Schema = Readonly<{ $ref?: string; oneOf?: readonly Schema[] }>;
type Response = Readonly<{ content?: Readonly<Record<string, { schema: Schema }>> }>;
type Operation = Readonly<{ operationId: string; responses: Readonly<Record<string, Response>> }>;

const api = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../../docs/openapi/countersign.json'), 'utf8'),
) as Readonly<{
  paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  components: { schemas: Readonly<Record<string, unknown>> };
}>;

/** The operations that the pages call, and the client itself. */
const used = [
  'fileComplaint',
  'listComplaints',
  'readComplaint',
  'editComplaint',
  'moveComplaint',
  'assignComplaint',
  'unassignComplaint',
  'commentOnComplaint',
  'listComments',
  'listHistory',
  'attachFile',
  'listAttachments',
  'downloadAttachment',
  'removeAttachment',
  'listUnsubscribed',
  'subscribeAgain',
  'listCategories',
  'listUsers',
  'refresh',
  'logOut',
];

function codesOf(operation: Operation): string[] {
  const schemas = Object.values(operation.responses)
    .flatMap(({ content = {} }) => content['application/problem+json']?.schema ?? [])
    .flatMap((schema) => schema.oneOf ?? [schema]);
  return schemas.flatMap(({ $ref = '' }) => {
    const text = JSON.stringify(api.components.schemas[$ref.split('/').at(-1) ?? '']);
    return /"code":\{[^}]*"const":"(\w+)"/.exec(text)?.[1] ?? [];
  });
}

test.each(used)('every error of %s has a text in every language', (name) => {
  const operation = Object.values(api.paths)
    .flatMap((path) => Object.values(path))
    .find(({ operationId }) => operationId === name) as Operation;
  const codes = codesOf(operation);
  expect(codes.length).toBeGreaterThan(0);
  for (const texts of [en, de]) expect(codes.filter((code) => knownErrorText(texts, code) === undefined)).toEqual([]);
});

/** Codes of listeners and callers that a browser never is. */
const neverInBrowsers = /^(caller_|call_|txn_token_|event|decision_|console_|use_dpop_nonce|invalid_dpop_proof)/;

test('every error of the gateway that a person can meet has a text in every language', () => {
  const page = readFileSync(resolve(import.meta.dirname, '../../../docs/errors.md'), 'utf8');
  const [, section = ''] = page.split('\n## gateway\n');
  const all = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| \d+ \| `(\w+)`/gm)].map(([, code = '']) => code);
  const codes = all.filter((code) => !neverInBrowsers.test(code));
  expect(codes.length).toBeGreaterThan(50);
  for (const texts of [en, de]) expect(codes.filter((code) => knownErrorText(texts, code) === undefined)).toEqual([]);
});

test('a code without a text is never shown', () => {
  for (const texts of [en, de]) expect(errorText(texts, 'new_code')).toBe(texts.errors.unknown);
});

/** The paths of all texts. */
const pathsOf = (value: object, prefix = ''): string[] =>
  Object.entries(value).flatMap(([name, member]) =>
    typeof member === 'object' && member !== null ? pathsOf(member, `${prefix}${name}.`) : [prefix + name],
  );

test('no text is missing in German, not even an optional one', () => {
  expect(pathsOf(de)).toEqual(pathsOf(en));
});

test('every page has the name of the product, as have the login pages and the emails', () => {
  const shell = readFileSync(resolve(import.meta.dirname, '../../index.html'), 'utf8');
  expect([en.product, de.product, /<title>(.*)<\/title>/.exec(shell)?.[1]]).toEqual(Array(3).fill('Countersign'));
});
