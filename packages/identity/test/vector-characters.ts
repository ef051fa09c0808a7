import { type HeaderRule, headerRules } from '../src/index.ts';
import { forged, genuine, type Message, standardParams, withHeader } from './forge.ts';
import { anonymous, forUser, machine, type Refused, txn, upgrade } from './vector-parts.ts';

/**
 * Characters that a careless expression accepts: another case, another alphabet, white space, a line feed, non-ASCII.
 */
const characters = ['Z', 'z', '_', '.', '/', '+', ' ', '\n', '\u00e9'];

/** The value with each of these characters first and in the middle of each of its segments, and with a segment one character shorter and longer. */
function variantsOf(value: string): string[] {
  const variants: string[] = [];
  for (const { index, 0: segment } of value.matchAll(/[A-Za-z0-9_+/]+/g)) {
    const before = value.slice(0, index);
    const after = value.slice(index + segment.length);
    const middle = Math.floor(segment.length / 2);
    const put = (changed: string) => variants.push(before + changed + after);
    for (const character of characters) {
      put(character + segment.slice(1));
      put(segment.slice(0, middle) + character + segment.slice(middle + 1));
    }
    put(segment.slice(1));
    put(segment.slice(0, -1));
    put(`${segment}${segment[0]}`);
  }
  for (const character of characters) variants.push(character + value, value + character);
  return [...new Set(variants)].filter((variant) => variant !== value);
}

const named = (what: string, values: readonly string[], make: (value: string) => Message): Record<string, Message> =>
  Object.fromEntries(values.map((value) => [`${what} ${JSON.stringify(value).slice(0, 100)}`, make(value)]));

const get = () => genuine({ as: anonymous, target: '/' });
const carriers: Readonly<Record<string, () => Message>> = {
  'x-request-id': get,
  'x-identity-audience': get,
  'x-service-id': () => genuine({ as: forUser, target: '/' }),
  'x-client-id': () => genuine({ as: machine, target: '/' }),
  'x-user-role': () => genuine({ as: forUser, target: '/' }),
  'txn-token': () => genuine({ as: forUser, target: '/', txnToken: txn }),
  'content-type': () => genuine({ as: anonymous, target: '/', method: 'POST', contentType: 'text/plain' }),
  'content-digest': () => genuine({ as: anonymous, target: '/', method: 'POST' }),
  upgrade: () => genuine({ as: anonymous, target: '/', upgrade }),
  'sec-websocket-key': () => genuine({ as: anonymous, target: '/', upgrade }),
};

const inHeaders = Object.entries(carriers).map(([name, carrier]) => {
  const { grammar } = headerRules.find((rule) => rule.name === name) as HeaderRule;
  const value = carrier().headers.find(([known]) => known === name)?.[1] ?? '';
  // Surrounding white space is removed before the grammar is checked.
  const refused = variantsOf(value).filter((variant) => !grammar.matches(variant.replace(/^[ \t]+|[ \t]+$/g, '')));
  return named(`${name}:`, refused, (variant) => forged(withHeader(carrier(), name, variant), {}));
});

const contextMembers: readonly (readonly [member: string, value: string, allowed: RegExp])[] = [
  ['iss', 'https:issuer', /^[!#-[\]-~]*$/],
  ['sid', 's1', /^[A-Za-z0-9._~:@|-]{1,128}$/],
  ['jkt', 'j'.repeat(43), /^[A-Za-z0-9_-]{43}$/],
  ['client', 'c1', /^[A-Za-z0-9._~:@|-]{1,128}$/],
];
const inContext = contextMembers.map(([member, value, allowed]) =>
  named(
    `context ${member}:`,
    variantsOf(value).filter((variant) => !allowed.test(variant)),
    (variant) => forged(withHeader(get(), 'x-identity-context', `${member}="${variant}"`), {}),
  ),
);
const listItems: typeof contextMembers = [
  ['amr', 'pwd', /^[A-Za-z0-9._:-]{1,64}$/],
  ['scope', 'a:read', /^[!#-[\]-~]{1,128}$/],
  ['roles', 'agent', /^[a-z0-9_-]{1,64}$/],
];
const inLists = listItems.map(([member, value, allowed]) =>
  named(
    `context ${member}:`,
    variantsOf(value).filter((variant) => !allowed.test(variant)),
    (variant) => forged(withHeader(get(), 'x-identity-context', `${member}=("${variant}")`), {}),
  ),
);
const inActors = [(variant: string) => `act="${variant}";iss="i"`, (variant: string) => `act="a";iss="${variant}"`].map(
  (contextOf) =>
    named(
      `context ${contextOf('…')}:`,
      variantsOf('https:a').filter((variant) => !/^[!#-[\]-~]+$/.test(variant)),
      (variant) => forged(withHeader(get(), 'x-identity-context', contextOf(variant)), {}),
    ),
);
const inNumbers = named(
  'context auth-time:',
  variantsOf('17').filter((variant) => !/^(?:0|[1-9][0-9]{0,9}) *$/.test(variant)),
  (variant) => forged(withHeader(get(), 'x-identity-context', `auth-time=${variant}`), {}),
);

const parameters = [
  ['nonce', 'nonceofsixteench', /^[A-Za-z0-9_-]{16,64}$/],
  ['keyid', 'ed1', /^[A-Za-z0-9._~:@|-]{1,128}$/],
  ['alg', 'ed25519', /^[a-z0-9-]{1,32}$/],
  ['tag', 'countersign', /^[a-z0-9-]{1,64}$/],
  ['created', '1800000000', /^(?:0|[1-9][0-9]{0,11})$/],
  ['expires', '1800000030', /^(?:0|[1-9][0-9]{0,11})$/],
] as const;
const inParameters = parameters.map(([name, value, allowed]) =>
  named(
    `${name}:`,
    variantsOf(value).filter((variant) => !allowed.test(variant)),
    (variant) => forged(get(), { params: standardParams({ [name]: variant }) }),
  ),
);

const targets = {
  ...named(
    'query:',
    ['\n', '\u00e9', ' ', '\t'].map((character) => `/a?b${character}c`),
    (target) => forged({ ...get(), target }, {}),
  ),
  ...named(
    'path:',
    ['\n', '\u00e9', ' ', '\t'].map((character) => `/a${character}b`),
    (target) => forged({ ...get(), target }, {}),
  ),
  ...named(
    'method:',
    [...variantsOf('GET'), ...variantsOf('M-SEARCH'), 'GET-', '-GET', ''].filter(
      (variant) => !/^[A-Z]{1,20}(?:-[A-Z]{1,20})?$/.test(variant),
    ),
    (method) => forged({ ...get(), method }, {}),
  ),
};

const oddNames = ['', 'x'.repeat(65), ...characters.filter((one) => one !== 'z').map((one) => `x${one}`)];

/** Every grammar with a disallowed character in the middle, at the start and at the end; and with a wrong length. */
export const characterRefused: Refused = {
  target_malformed: targets,
  header_malformed: Object.assign({}, ...inHeaders, ...inContext, ...inLists, ...inActors, inNumbers, {
    'an upgrade of 65 characters': forged(withHeader(carriers.upgrade?.() ?? get(), 'upgrade', 'w'.repeat(65)), {}),
    'a digest of 3 bytes': forged(
      withHeader(carriers['content-digest']?.() ?? get(), 'content-digest', 'sha-256=:AAAA:'),
      {},
    ),
    'an empty amr method': forged(withHeader(get(), 'x-identity-context', 'amr=("")'), {}),
  }),
  signature_malformed: Object.assign(
    {},
    ...inParameters,
    {
      'an empty alg': forged(get(), { params: standardParams({ alg: '' }) }),
      'a tag of 65 characters': forged(get(), { params: standardParams({ tag: 't'.repeat(65) }) }),
      'expires of 13 digits': forged(get(), { params: standardParams({ expires: 1_800_000_000_000 }) }),
    },
    named('a component', oddNames, (name) => forged(get(), { components: [name] })),
    named('a second component', oddNames, (name) => forged(get(), { components: ['x', name] })),
  ),
};
