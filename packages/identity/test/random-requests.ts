import fc from 'fast-check';
import { coveredRules } from '../src/contract/contract.ts';
import { forged, genuine, type Message, type Pair, withHeader } from './forge.ts';
import { anonymous } from './vector-parts.ts';

const one = fc.constantFrom;
const base = () => genuine({ as: anonymous, target: '/' });

const texts = one(
  ...['a', 'A', 'b', '', ' ', 'a b', '\u00e9', '\\', '\t', ';', 'a;iss=b', 'orders.read', 'https://a.example/b', '0'],
  ...['x'.repeat(64), 'x'.repeat(65), 'x'.repeat(128), 'x'.repeat(129), 's'.repeat(255), 's'.repeat(256)],
  ...['i'.repeat(512), 'i'.repeat(513), 'j'.repeat(43), '192.0.2.7', '192.0.2.07', '192.0.2', '0x7f.1', '1.2.3.4 '],
  ...['::', '::1', '1::', '::ffff:1.2.3.4', '::1.2.3.4', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:8:9'],
  ...['12345::', 'fe80::1%0', '[::1]', '1::2::3'],
);
const text = texts.map((value) => `"${value}"`);
const space = one('', '', '', '', ' ', '  ', '\t');
const list = fc
  .tuple(fc.array(text, { maxLength: 4 }), one(' ', ' ', '  ', '', ', '), space, space)
  .map(([items, between, before, after]) => `(${before}${items.join(between)}${after})`);
const number = one('0', '1', '17', '9999999999', '10000000000', '01', '-1', '1.0', '1e3');
const issuer = text.map((value) => `;iss=${value}`);
const odd = fc
  .tuple(
    one('ip', 'sid', 'auth-time', 'amr', 'client', 'scope', 'roles', 'act', 'role', 'Act', 'auth_time', 'a*', '-a'),
    one('=', '=', '=', ' =', '= ', ''),
    fc.oneof(text, list, number),
    fc.oneof(one('', '', ';iss', '; iss="a"', ';Iss="a"', ';sub="a"', ';iss="a";x=1', ';iss="a";iss="a"'), issuer),
  )
  .map((parts) => parts.join(''));
const fitting = fc.oneof(
  fc.tuple(one('ip', 'iss', 'sid', 'jkt', 'client'), text).map((parts) => parts.join('=')),
  fc.tuple(one('amr', 'scope', 'roles'), list).map((parts) => parts.join('=')),
  fc.tuple(text, issuer).map((parts) => `act=${parts.join('')}`),
  number.map((value) => `auth-time=${value}`),
);
const members = fc.array(fc.oneof({ weight: 3, arbitrary: fitting }, { weight: 1, arbitrary: odd }), {
  minLength: 1,
  maxLength: 3,
});
const edit = fc.record({
  place: fc.nat(),
  removed: fc.nat({ max: 2 }),
  added: one('', ' ', '"', ';', '=', ',', '(', 'a'),
});

/** An anonymous request whose context may have any form. */
const withRandomContext = fc
  .tuple(members, one(', ', ', ', ',', ' , ', ',\t', ' ', ',,'), fc.option(edit, { freq: 3 }))
  .map(([parts, between, change]) => {
    const whole = parts.join(between);
    if (change === null) return whole;
    const at = change.place % (whole.length + 1);
    return whole.slice(0, at) + change.added + whole.slice(at + change.removed);
  })
  .map((value) => forged(withHeader(base(), 'x-identity-context', value.replace(/^[ \t]+|[ \t]+$/g, '')), {}));

const maybe = (name: string, ...values: string[]) =>
  fc.option(
    one(...values).map((value): Pair => [name, value]),
    { nil: undefined },
  );
const identityHeaders = fc.tuple(
  maybe('x-service-id', 's', 's', 's', ''),
  maybe('x-client-id', 'c', 'c', 'c', 'a/b', ''),
  maybe('x-user-id', 'u', 'u', 'u', '\u00e9', ''),
  maybe('x-user-role', 'r', 'r', 'r', 'R'),
  maybe('x-tenant-id', 't', 't', 't', 't t'),
  maybe('txn-token', 'a.b.c', 'a.b.c', 'a.b'),
);
const neighbors = maybe('x-client', 'a').chain((near) =>
  one(
    near,
    undefined,
    undefined,
    ['X_Client_Id', 'c'] as const,
    ['x-client-ip', 'c'] as const,
    ['x-user-x', 'c'] as const,
  ),
);

/** A request of any kind with any of the identity headers. The signature covers all of them, or all but one. */
const withRandomHeaders = fc
  .tuple(
    one('user', 'client', 'anonymous', 'service', 'service', 'gateway', 'Client'),
    identityHeaders,
    neighbors,
    fc.option(fc.nat(), { freq: 8 }),
  )
  .map(([kind, given, neighbor, dropped]): Message => {
    const pairs: Pair[] = base().headers.map(([name, value]) => [name, name === 'x-identity' ? kind : value]);
    pairs.push(...[...given, neighbor].filter((pair) => pair !== undefined));
    const present = coveredRules.filter(({ name }) => pairs.some(([known]) => known === name)).map(({ name }) => name);
    const components = ['@method', '@path', '@query', ...present];
    if (dropped !== null) components.splice(dropped % components.length, 1);
    return forged({ ...base(), headers: pairs }, { components });
  });

/** Generates signed requests, most of them malformed in one place. */
export const randomRequest: fc.Arbitrary<Message> = fc.oneof(
  { weight: 2, arbitrary: withRandomContext },
  { weight: 1, arbitrary: withRandomHeaders },
);
