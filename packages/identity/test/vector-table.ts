import { type HeaderRule, headerRules, type IdentityClaims, type IdentityKind } from '../src/index.ts';
import {
  componentsOf,
  forged,
  genuine,
  type Message,
  type Pair,
  plus,
  requestId,
  withHeader,
  without,
} from './forge.ts';
import { anonymous, forUser, machine, type Refused, service, txn, uncovered, upgrade } from './vector-parts.ts';

const rules: readonly HeaderRule[] = headerRules;

const kinds: Record<IdentityKind, IdentityClaims> = {
  user: { kind: 'user', userId: 'u-1', role: 'agent', tenantId: 'acme' },
  client: machine,
  anonymous,
  service: forUser,
  gateway: { kind: 'gateway' },
};

/** A valid value for each header. */
const examples: Readonly<Record<string, string>> = {
  'x-request-id': requestId,
  'x-service-id': 'billing',
  'x-client-id': 'nightly-export',
  'x-user-id': 'u-1',
  'x-user-role': 'agent',
  'x-tenant-id': 'acme',
  'txn-token': txn,
};

/** A request of this kind with every header that it may have. */
const full = (kind: IdentityKind) =>
  genuine({
    as: kinds[kind],
    method: 'POST',
    body: '{}',
    contentType: 'application/json',
    ...(kind === 'anonymous' || kind === 'gateway' ? {} : { txnToken: txn }),
  });
const upgraded = () => genuine({ upgrade });
const carrier = ({ name, present }: HeaderRule): Message => {
  if (name === 'upgrade' || name === 'sec-websocket-key') return upgraded();
  return full((Object.keys(kinds) as IdentityKind[]).find((kind) => present[kind] !== undefined) ?? 'user');
};

const named = (
  rows: readonly HeaderRule[],
  make: (rule: HeaderRule) => Message,
  what: string,
): Record<string, Message> => Object.fromEntries(rows.map((rule) => [`${rule.name}, ${what}`, make(rule)]));
const valueIn = ({ headers }: Message, name: string) => headers.find(([known]) => known === name)?.[1] ?? '';
const covering = (message: Message, ...more: Pair[]) =>
  forged(plus(message, ...more), { components: [...componentsOf(message), ...more.map(([name]) => name)] });

const covered = rules.filter((rule) => rule.covered);
const stripped = rules.filter((rule) => rule.stripped);

const missing = (Object.keys(kinds) as IdentityKind[]).flatMap((kind) =>
  covered
    .filter(({ present }) => present[kind] === 'required' || present[kind] === 'all-or-none')
    .filter(({ onlyWith }) => onlyWith === undefined)
    .map(({ name }): [string, Message] => [
      `${name}, ${kind}`,
      forged(without(full(kind), name), { components: componentsOf(full(kind)).filter((known) => known !== name) }),
    ]),
);

const forbidden = (Object.keys(kinds) as IdentityKind[]).flatMap((kind) =>
  covered
    .filter(({ present }) => present[kind] === undefined)
    .flatMap(({ name }): [string, Message][] => [
      [`${name} with ${kind}, covered`, covering(full(kind), [name, examples[name] ?? ''])],
      [`${name} with ${kind}, empty`, plus(full(kind), [name, ''])],
    ]),
);

/** Refusals that follow from the table of headers, generated for every header. */
export const tableRefused: Refused = {
  header_duplicated: named(
    rules,
    (rule) => plus(carrier(rule), [rule.name, valueIn(carrier(rule), rule.name)]),
    'repeated',
  ),
  header_alias: {
    ...named(
      stripped.filter(({ name }) => name.includes('-')),
      ({ name }) => plus(full('user'), [name.replaceAll('-', '_'), examples[name] ?? 'x']),
      'with underscores',
    ),
    ...named(
      stripped.filter(({ prefix }) => prefix !== undefined),
      ({ prefix }) => plus(full('user'), [`${prefix}.more`, 'x']),
      'a dot after its prefix',
    ),
  },
  header_missing: Object.fromEntries(missing),
  header_malformed: {
    ...named(
      covered.filter(({ name }) => name !== 'x-identity-context'),
      (rule) => forged(withHeader(carrier(rule), rule.name, ''), {}),
      'empty',
    ),
    ...named(
      covered,
      (rule) => forged(withHeader(carrier(rule), rule.name, `${valueIn(carrier(rule), rule.name)}\u00e9`), {}),
      'with a non-ASCII character',
    ),
    ...named(
      covered,
      (rule) => forged(withHeader(carrier(rule), rule.name, `${valueIn(carrier(rule), rule.name)}\n`), {}),
      'with a line feed',
    ),
  },
  coverage_insufficient: {
    ...Object.fromEntries(forbidden),
    ...named(covered, (rule) => uncovered(carrier(rule), rule.name), 'present and not covered'),
    ...named(
      stripped.filter(({ prefix }) => prefix !== undefined),
      ({ prefix }) => plus(full('user'), [`${prefix}-${'a'.repeat(100)}`, 'x']),
      'a long name with its prefix',
    ),
  },
  signature_missing: named(
    rules.filter((rule) => !rule.covered),
    (rule) => without(full('user'), rule.name),
    'absent',
  ),
  signature_malformed: named(
    rules.filter((rule) => !rule.covered),
    (rule) => withHeader(full('user'), rule.name, ''),
    'empty',
  ),
  signature_invalid: {
    'kind changed from anonymous to gateway': withHeader(genuine({ as: anonymous }), 'x-identity', 'gateway'),
    'a changed service id': withHeader(genuine({ as: service }), 'x-service-id', 'billing'),
  },
};
