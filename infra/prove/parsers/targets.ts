import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isPublishedKey, staticGatewayKeys } from '@countersign/identity';
import { fetchJwks, isBase64url, verifyJws } from '@countersign/jwks';
import * as jose from 'jose';
import { parseDictionary, serializeInnerList } from 'structured-headers';
import { cookieValues } from '../../../auth-service/src/domain/sessions/cookies.ts';
import { filterCookies } from '../../../gateway/src/http/cookies.ts';
import { parseJwt } from '../../../gateway/src/tokens/parse-jwt.ts';
import { parseContext } from '../../../packages/identity/src/contract/context.ts';
import { parseSignatureInput } from '../../../packages/identity/src/contract/rfc9421.ts';
import { compileAbnf } from '../../../packages/identity/test/abnf.ts';
import { repository } from '../../stacks/stack.ts';

/** What a parser read, by name. Empty if it refused the text. */
export type Facts = Readonly<Record<string, unknown>>;
/** Why only one side reads a fact, and whether that explains this one. */
export type Reason = readonly [why: string, explains: (text: string, fact: string) => boolean];

export type Target = Readonly<{
  /** Reads a text, whose characters are bytes. An error means that the text is refused. */
  ours(text: string): Facts | Promise<Facts>;
  independent(text: string, cookies: readonly Facts[]): Facts | Promise<Facts>;
  /** The texts that Python's http.cookies reads for `independent`. Without it, Python and Go have parsers of ours. */
  cookies?(text: string): readonly string[];
  /** Why ours refuses what the independent parser accepts. */
  stricter: readonly Reason[];
  /** Why the independent parser refuses what ours accepts. */
  looser: readonly Reason[];
}>;

const read = (file: string) => readFileSync(resolve(repository, file), 'utf8');
const draft = read('docs/draft-countersign-identity.md').matchAll(/^```abnf\n([\s\S]*?)^```/gm);
const grammarOf = compileAbnf(Array.from(draft, ([, block]) => block).join('\n'));
const isOutside = (rule: string) => (text: string) => !grammarOf(rule).test(text);

export const tokenKeys = read('infra/prove/parsers/corpus/token-keys.json');
const tokenKey = createPublicKey({ key: JSON.parse(tokenKeys).keys[0], format: 'jwk' });
const partsIn = (jws: string) => jws.split('.', 2).map((part) => Buffer.from(part, 'base64url'));
function repeatsName(json: Buffer): boolean {
  let keys = -1; // The reviver is also called for the whole value.
  JSON.parse(json.toString(), function count(_key, value) {
    if (!Array.isArray(this)) keys += 1;
    return value;
  });
  return Array.from(json.toString().matchAll(/"(?:[^"\\]|\\.)*"\s*:/g)).length !== keys;
}
/** Numbers and strings that not every JSON parser keeps (RFC 7493 sections 2.1 and 2.2). */
function isInexact(json: Buffer): boolean {
  const found: unknown[] = [];
  JSON.parse(json.toString(), (key, value) => {
    found.push(key, value);
    return value;
  });
  return found.some((one) => Math.abs(Number(one)) === Infinity || (typeof one === 'string' && !one.isWellFormed()));
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const parsed = (text: string) => JSON.parse(utf8.decode(Buffer.from(text, 'latin1')));
const entriesIn = (set: { keys?: unknown }): jose.JWK[] => (Array.isArray(set?.keys) ? set.keys.filter(Boolean) : []);
const kidOf = (fact: string) => fact.slice(fact.indexOf(' ') + 1);
const entriesOf = (text: string, fact: string) => entriesIn(parsed(text)).filter(({ kid }) => kid === kidOf(fact));
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
export const dictionaries = JSON.parse(read('infra/prove/parsers/corpus/dictionary.json'));
const weakPoints = dictionaries.jwks.map((token: string) => /^"x":"(.*)"$/.exec(token)?.[1]);

/** Reads each kid of a key set. Errors mean that its key cannot be used. */
async function keysBy(set: object, kinds: Readonly<Record<string, (kid: string) => unknown>>): Promise<Facts> {
  const facts = new Map<string, unknown>();
  const kids = entriesIn(set).flatMap(({ kid }) => (typeof kid === 'string' ? [kid] : []));
  for (const kid of new Set(kids)) {
    for (const [kind, find] of Object.entries(kinds)) {
      const fact = await Promise.resolve(kid)
        .then(find)
        .catch(() => undefined);
      if (fact !== undefined) facts.set(`${kind} ${kid}`, fact);
    }
  }
  return Object.fromEntries(facts);
}

const guarded = '__Host-rt';
const rules = [[], [guarded]].map((cookies) => ({ cookies: new Set(cookies), guarded: new Set(['__host-rt']) }));
const forwarded = (text: string) => rules.map((rule) => filterCookies(text, rule) ?? '');

export const targets: Readonly<Record<string, Target>> = {
  'signature-input': {
    ours(text) {
      const parsed = parseSignatureInput(text);
      if (parsed === undefined) return {};
      const { tag, raw, list, createdSec, expiresSec, nonce, keyid, algorithm } = parsed;
      if (tag !== 'countersign-v1') return { value: 'another tag' };
      return { value: [raw, list, createdSec, expiresSec, nonce, keyid, algorithm] };
    },
    independent(text) {
      const [items, params = new Map()] = parseDictionary(text).get('countersign') ?? [];
      if (params.get('tag') !== 'countersign-v1') return { value: 'another tag' };
      const [raw, list] = [params, new Map()].map((some) => serializeInnerList([items as [], some]));
      return { value: [raw, list, ...['created', 'expires', 'nonce', 'keyid', 'alg'].map((name) => params.get(name))] };
    },
    stricter: [
      ['outside the grammar of section 5 of the draft', isOutside('signature-input')],
      ['more than 1,024 characters', (text) => text.length > 1024],
    ],
    looser: [],
  },
  'x-identity-context': {
    ours(text) {
      const context = parseContext(text);
      return context === undefined ? {} : { value: { ...context, authTime: undefined, 'auth-time': context.authTime } };
    },
    independent: (text) => ({
      value: Object.fromEntries(
        Array.from(parseDictionary(text), ([name, [value, params]]) => {
          if (Array.isArray(value)) return [name, value.map(([item]) => item)];
          return [name, params.size > 0 ? { sub: value, ...Object.fromEntries(params) } : value];
        }),
      ),
    }),
    stricter: [
      ['outside the grammar of section 7 of the draft', isOutside('x-identity-context')],
      ['a repeated member, scope or role', (text) => /("[^"]*")[^)]* \1|\b([a-z-]+)=.*\b\2=/.test(text)],
    ],
    looser: [],
  },
  cookies: {
    // Whether it is there. http.cookies also takes white space and single quotes off a value.
    ours: (text) => Object.fromEntries(cookieValues(forwarded(text)[1], guarded).map(() => ['mine', true])),
    cookies: forwarded,
    independent(_text, [none = {}, mine = {}]) {
      const leaked = [...Object.keys(none), ...Object.keys(mine).filter((name) => name !== guarded)];
      const names = leaked.filter((name) => name.toLowerCase() === guarded.toLowerCase());
      const { [guarded]: value } = mine;
      return {
        ...(value !== undefined && { mine: true }),
        ...Object.fromEntries(names.map((name) => [name, 'leaked'])),
      };
    },
    stricter: [],
    looser: [
      ['http.cookies drops a header with a pair that it cannot read, and joins what quotes enclose', () => true],
    ],
  },
  jws: {
    ours(text) {
      const { header, payload } = parseJwt(text, 4096);
      const isVerified = header.alg === 'ES256' && header.kid === 't' && verifyJws(text, tokenKey, 'ES256');
      return { value: [header, payload], ...(isVerified && { verified: true }) };
    },
    async independent(text) {
      const header = jose.decodeProtectedHeader(text);
      const verified = await jose.compactVerify(text, tokenKey).then(
        () => header.kid === 't',
        () => false,
      );
      return { value: [header, jose.decodeJwt(text)], ...(verified && { verified }) };
    },
    stricter: [
      [
        'another form of base64url: padding, spaces, unused bits',
        (text) => !text.split('.').every((part) => isBase64url(part)),
      ],
      ['more than 4,096 characters', (text) => text.length > 4096],
      [
        'bytes that are not UTF-8, or a byte order mark',
        (text) => partsIn(text).some((json) => !Buffer.from(json.toString()).equals(json) || json[0] === 0xef),
      ],
      ['a repeated name', (text) => partsIn(text).some(repeatsName)],
      ['a number beyond 64-bit floats, or half of a surrogate pair', (text) => partsIn(text).some(isInexact)],
    ],
    looser: [],
  },
  jwks: {
    async ours(text) {
      const body = new Response(Buffer.from(text, 'latin1'));
      const limits = { url: 'http://a', etag: undefined, timeoutMs: 60_000, maxBytes: 65_536 };
      const fetched = await fetchJwks({ ...limits, signal: new AbortController().signal, fetch: async () => body });
      const value = Object(Object(fetched).value);
      const [signing, tokens] = (['EdDSA', 'ES256'] as const).map((algorithm) => {
        try {
          return staticGatewayKeys(value, { algorithm });
        } catch {
          return undefined; // No key is usable.
        }
      });
      const xOf = (key: unknown) => Object(Object(key).publicKey ?? key).export?.({ format: 'jwk' }).x;
      return keysBy(value, {
        EdDSA: async (kid) => xOf(await signing?.lookup(kid)),
        ES256: async (kid) => xOf(await tokens?.lookupTokenKey?.(kid)),
        agreement: async (kid) => xOf(await signing?.lookupAgreementKey?.(kid)),
      });
    },
    independent(text) {
      const value = parsed(text);
      const find = jose.createLocalJWKSet(value);
      const xOf = async (kid: string, alg: string) => (await jose.exportJWK(await find({ alg, kid }))).x;
      return keysBy(value, {
        EdDSA: (kid) => xOf(kid, 'EdDSA').catch(() => xOf(kid, 'Ed25519')),
        ES256: (kid) => xOf(kid, 'ES256'),
        agreement: async (kid) => {
          const { alg, ...entry } = entriesIn(value).findLast((one) => one.kid === kid) ?? {};
          await jose.importJWK(entry as jose.JWK, 'ECDH-ES');
          const isOfForm = alg === 'countersign-agreed-v1' && entry.crv === 'X25519' && entry.use === 'enc';
          return isOfForm && (await jose.calculateJwkThumbprint(entry as jose.JWK)) === kid ? entry.x : undefined;
        },
      });
    },
    stricter: [
      ['two entries with one kid', (text, fact) => entriesOf(text, fact).length > 1],
      ['more than 100 entries', (text) => entriesIn(parsed(text)).length > 100],
      [
        'a kid that is published, or outside of the grammar',
        (_text, fact) =>
          isPublishedKey({ kid: kidOf(fact) }) ||
          !grammarOf('id').test(kidOf(fact)) ||
          grammarOf('agreed-keyid').test(kidOf(fact)),
      ],
      [
        'a private member, also `null`',
        (text, fact) => entriesOf(text, fact).some((key) => privateMembers.some((name) => Object.hasOwn(key, name))),
      ],
      [
        'a coordinate in another form of base64url, or a weak point',
        (text, fact) =>
          entriesOf(text, fact).some(
            ({ kty, x, y }) => !isBase64url(x, 32) || (kty === 'EC' && !isBase64url(y, 32)) || weakPoints.includes(x),
          ),
      ],
      [
        '`use`, `alg` or `key_ops` of another type',
        (text, fact) =>
          entriesOf(text, fact).some(
            ({ use, alg, key_ops: operations }) =>
              ![undefined, 'sig', 'enc'].includes(use) ||
              !['undefined', 'string'].includes(typeof alg) ||
              !(operations === undefined || Array.isArray(operations)),
          ),
      ],
      ['keys for agreement without one for signatures', (_text, fact) => fact.startsWith('agreement ')],
    ],
    looser: [
      [
        'jose refuses a set with an entry that is not an object',
        (text) =>
          parsed(text).keys.some((key: unknown) => typeof key !== 'object' || key === null || Array.isArray(key)),
      ],
    ],
  },
};

/** What docs/threat-model.md says of the differences. */
export function reasonsTable(): string {
  const rows = Object.entries(targets).flatMap(([name, { stricter, looser }]) => [
    ...stricter.map(([why]) => [name, why, 'ours']),
    ...looser.map(([why]) => [name, why, 'the other']),
  ]);
  return ['| format | difference | refused by |', '|---|---|---|', ...rows.map((row) => `| ${row.join(' | ')} |`)].join(
    '\n',
  );
}
