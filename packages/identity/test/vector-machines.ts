import type { IdentityClaims } from '../src/index.ts';
import { componentsOf, forged, genuine, hmacKey, type Message, type Pair, plus, withHeader, without } from './forge.ts';
import {
  anonymous,
  forClient,
  forUser,
  machine,
  type Refused,
  service,
  signedWith,
  txn,
  uncovered,
  upgrade,
  type VectorCase,
  withContext,
} from './vector-parts.ts';

const bareClient: IdentityClaims = { kind: 'client', clientId: 'client-7' };
const client = (more: object = {}) => genuine({ as: machine, ...more });
const serviceFor = (more: object) =>
  genuine({ as: { kind: 'service', serviceId: 'complaint-service', client: { clientId: 'client-7', ...more } } });
const issuer = 'https://issuer.example';
/** Distinct names: n0, n1, and so on. */
const names = (count: number, length = 2) =>
  Array.from({ length: count }, (_, index) => `n${index}`.padEnd(length, 'x'));
const listOf = (items: readonly string[]) => `(${items.map((item) => `"${item}"`).join(' ')})`;
const everyMember = {
  client: 'app-1',
  scope: ['orders.read', 'https://api.example/orders:write'],
  roles: ['agent', 'auditor'],
  act: { sub: 'client-7', iss: issuer },
};
const person: IdentityClaims = { kind: 'user', userId: 'u-1', role: 'agent', tenantId: 'acme', context: everyMember };
/** Adds a header at its place in the list of components, and covers it. */
const covering = (message: Message, before: string, ...more: Pair[]) =>
  forged(plus(message, ...more), {
    components: componentsOf(message).flatMap((name) =>
      name === before ? [...more.map(([added]) => added), name] : [name],
    ),
  });
const contexts = (values: readonly string[]): VectorCase[] =>
  values.map((value) => ({ name: `context ${short(value)}`, message: withContext(value) }));
const short = (value: string) => (value.length > 100 ? `${value.slice(0, 60)}… (${value.length} characters)` : value);

/** Machines, services that act for a machine, and a delegated token's context. */
export const machineAccepted: VectorCase[] = [
  { name: 'client', message: client() },
  { name: 'client, without role and tenant', message: genuine({ as: bareClient }) },
  { name: 'client, with a role and no tenant', message: genuine({ as: { ...bareClient, role: 'agent' } }) },
  { name: 'client, with a tenant and no role', message: genuine({ as: { ...bareClient, tenantId: 'acme' } }) },
  { name: 'client, with a txn-token', message: client({ txnToken: txn }) },
  { name: 'client, HMAC', message: client({ key: hmacKey }) },
  {
    name: 'client, POST',
    message: client({ method: 'POST', body: '{}', contentType: 'application/json', txnToken: txn }),
  },
  { name: 'client, WebSocket upgrade', message: client({ upgrade }) },
  { name: 'client, an id of 128 characters', message: signedWith(client(), 'x-client-id', 'c'.repeat(128)) },
  { name: "client, the context's client is another: not compared", message: withMember(client(), 'client="app-2"') },
  { name: 'service, for a client', message: genuine({ as: forClient }) },
  { name: 'service, for a client, with a txn-token', message: genuine({ as: forClient, txnToken: txn }) },
  { name: 'service, for a client without role and tenant', message: serviceFor({}) },
  { name: 'service, for a client with a role and no tenant', message: serviceFor({ role: 'agent' }) },
  { name: 'service, for a client with a tenant and no role', message: serviceFor({ tenantId: 'acme' }) },
  { name: 'user, with client, scope, roles and actor', message: genuine({ as: person }) },
  { name: 'service, for a user, with scope and actor', message: genuine({ as: { ...forUser, context: everyMember } }) },
  {
    name: 'anonymous, with members that only tokens have: not checked',
    message: genuine({ as: { ...anonymous, context: everyMember } }),
  },
  {
    name: 'names near x-client-id that are no identity headers',
    message: plus(
      client(),
      ['x-client', 'a'],
      ['x-client-ip', '192.0.2.8'],
      ['x-client-id-2', 'a'],
      ['X_Client_Name', 'a'],
      ['x-clientid', 'a'],
    ),
  },
  ...contexts([
    `act="client-7";iss="${issuer}", roles=("agent"), scope=("a"), client="app-1", ip="192.0.2.7"`,
    'scope=("orders.read" "Orders.Read" "ORDERS.READ")',
    'scope=(  "b"   "a"  )',
    `scope=("!" "#$%&'()*+,-./" "a:b;c=d" "[x]^_\`{|}~" "<>?@")`,
    `scope=${listOf(names(64))}`,
    `scope=("${'s'.repeat(128)}" "s")`,
    'roles=("agent" "admin_2" "0-9" "x")',
    `roles=${listOf(names(64))}`,
    `roles=("${'r'.repeat(64)}")`,
    `client="${'c'.repeat(128)}"`,
    `act="${'s'.repeat(255)}";iss="${'i'.repeat(512)}"`,
    'act="https://service16.example";iss="i"',
    'act="a;iss=b";iss="c;act=d"',
    `scope=${listOf(names(8, 128))}, act="a";iss="${'i'.repeat(512)}",${' '.repeat(449)}roles=("agent")`,
  ]),
];

function withMember(message: Message, member: string): Message {
  const value = message.headers.find(([name]) => name === 'x-identity-context')?.[1] ?? '';
  return signedWith(message, 'x-identity-context', `${value}, ${member}`);
}

const refusedContexts = [
  ...['Client="a"', 'client=""', 'client="a b"', 'client="a/b"', `client="${'c'.repeat(129)}"`, 'client=("a")'],
  ...['client=1', 'client="a", client="a"', 'client="a";iss="i"', 'client'],
  ...['Scope=("a")', 'scope=()', 'scope=( )', 'scope=("")', 'scope=("a" "a")', 'scope=("a" "b" "a")', 'scope="a b"'],
  ...['scope="a"', 'scope=("a b")', 'scope=("a", "b")', 'scope=("a""b")', 'scope=("a"', 'scope=(a)', 'scope=(1)'],
  ...['scope=("a\\"b")', 'scope=("a\\\\b")', 'scope=("a\tb")', 'scope=("a"\t"b")', 'scope=("caf\u00e9")'],
  ...['scope=("a";p=1)', 'scope=("a");p=1', 'scope=("a");iss="i"', 'scope=("a";iss="i")', 'scope=("a"), scope=("b")'],
  ...['scope=1', 'scope', 'scope=', `scope=${listOf(names(65))}`, `scope=("${'s'.repeat(129)}")`],
  ...['Roles=("a")', 'roles=()', 'roles=("")', 'roles=("a" "a")', 'roles=("Agent")', 'roles=("a.b")', 'roles="a"'],
  ...[`roles=${listOf(names(65))}`, `roles=("${'r'.repeat(65)}")`, 'roles=("a b")', 'roles=("a"), roles=("b")'],
  ...['role=("a")', 'scopes=("a")', 'azp="a"', 'zz=("a")'],
  ...['act="a"', 'act', 'act=', 'act=("a")', 'act=1', 'act=("a");iss="i"', 'act=1;iss="i"', 'act;iss="i"'],
  ...['Act="a";iss="i"', 'act="a";Iss="i"', 'act="a";sub="i"', 'act="a";is="i"', 'act="a";iss', 'act="a";iss='],
  ...['act="a";iss=i', 'act="a";iss=1', 'act="a";iss=("i")', 'act="a";iss=""', 'act="";iss="i"', 'act="a";'],
  ...[
    'act="a";iss="i";iss="i"',
    'act="a";iss="i";iat=1',
    'act="a";iat=1;iss="i"',
    'act="a";iss="i";',
    'act="a";;iss="i"',
  ],
  ...['act="a" ;iss="i"', 'act="a"; iss="i"', 'act="a";iss ="i"', 'act="a";iss= "i"', 'act="a";iss="i" ;x'],
  ...['act="a b";iss="i"', 'act="a";iss="i j"', 'act="a\\"";iss="i"', 'act="a";iss="i\\""', 'act="\u00e9";iss="i"'],
  ...['act="a";iss="i", act="a";iss="i"', 'act="a";iss="i", iss="i", iss="i"', 'acts="a";iss="i"', 'zz="a";iss="i"'],
  ...[`act="${'s'.repeat(256)}";iss="i"`, `act="a";iss="${'i'.repeat(513)}"`, 'act="a";iss="i'],
  ...['ip="192.0.2.7";iss="i"', 'iss="i";iss="i"', 'sid="s-1";iss="i"', 'auth-time=1;iss="i"', 'amr=("pwd");iss="i"'],
  `scope=${listOf(names(8, 128))}, act="a";iss="${'i'.repeat(512)}",${' '.repeat(450)}roles=("agent")`,
];

export const machineRefused: Refused = {
  header_malformed: {
    ...Object.fromEntries(refusedContexts.map((value) => [short(value), withContext(value)])),
    ...Object.fromEntries(
      ['Client', 'clients', 'machine'].map((kind) => [`the kind ${kind}`, signedWith(client(), 'x-identity', kind)]),
    ),
    'a client id of 129 characters': signedWith(client(), 'x-client-id', 'c'.repeat(129)),
    'a client id with a slash': signedWith(client(), 'x-client-id', 'https://app.example/client'),
    "a client's role in upper case": signedWith(client(), 'x-user-role', 'Agent'),
    "a service's client id, before a user id": covering(
      signedWith(genuine({ as: forClient }), 'x-client-id', 'a b'),
      'x-user-role',
      ['x-user-id', 'u-1'],
    ),
  },
  header_missing: {
    'x-client-id, before a user id': covering(
      forged(without(client(), 'x-client-id'), {
        components: componentsOf(client()).filter((name) => name !== 'x-client-id'),
      }),
      'x-user-role',
      ['x-user-id', 'u-1'],
    ),
    'x-user-id of a service with a role and no client': forged(without(serviceFor({ role: 'agent' }), 'x-client-id'), {
      components: componentsOf(serviceFor({ role: 'agent' })).filter((name) => name !== 'x-client-id'),
    }),
  },
  coverage_insufficient: {
    'x-client-id added to a user': plus(genuine(), ['x-client-id', 'client-7']),
    'x-client-id added to a service': plus(genuine({ as: service }), ['x-client-id', 'client-7']),
    'x-client-id with a user, covered in its place': covering(genuine(), 'x-user-id', ['x-client-id', 'client-7']),
    'x-user-id with a client, covered in its place': covering(client(), 'x-user-role', ['x-user-id', 'u-1']),
    'a service for a user, with x-client-id': covering(genuine({ as: forUser }), 'x-user-id', [
      'x-client-id',
      'client-7',
    ]),
    'a service for a client, with x-user-id': covering(genuine({ as: forClient }), 'x-user-role', ['x-user-id', 'u-1']),
    'x-service-id with a client, covered in its place': covering(client(), 'x-client-id', ['x-service-id', 'billing']),
    'x-client-id of a service, not covered': uncovered(genuine({ as: forClient }), 'x-client-id'),
    'x-client-id before x-service-id': swapped(genuine({ as: forClient }), 'x-service-id', 'x-client-id'),
    'x-client-id after x-user-role': swapped(client(), 'x-client-id', 'x-user-role'),
  },
  header_alias: Object.fromEntries(
    ['X_Client_Id', 'x.client.id', 'X-Client_ID', 'x client id', 'X\u00e4Client\u00e4Id'].map((name) => [
      name,
      plus(client(), [name, 'client-8']),
    ]),
  ),
  signature_invalid: {
    'another client': withHeader(client(), 'x-client-id', 'client-8'),
    'another scope': withHeader(
      client(),
      'x-identity-context',
      `ip="192.0.2.7", iss="${issuer}", scope=("orders.write")`,
    ),
    'an actor removed': withHeader(
      genuine({ as: { ...person, context: { act: everyMember.act } } }),
      'x-identity-context',
      'ip="192.0.2.7"',
    ),
    "another client of a service's": withHeader(genuine({ as: forClient }), 'x-client-id', 'client-8'),
  },
};

function swapped(message: Message, one: string, other: string): Message {
  const components = componentsOf(message).map((name) => (name === one ? other : name === other ? one : name));
  return forged(message, { components });
}
