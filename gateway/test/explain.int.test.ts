import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { loadConfig } from '../src/config/load.ts';
import { explain } from '../src/explain/answer.ts';
import type { Header } from '../src/explain/dry-run.ts';
import { explainQuestion } from '../src/explain/question.ts';
import { acme, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

const app = 'https://app.example.test';
const host: Header = ['Host', 'gateway.test'];
const socket: readonly Header[] = [
  ['Connection', 'keep-alive, Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ['Sec-WebSocket-Version', '13'],
];
const preflight: Header = ['Access-Control-Request-Method', 'POST'];

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await gatewayUnderTest({
    edits: [['trustedProxies: []', `cors: { origins: ["${app}"], credentials: true }\nheaders: { strip: [X-Debug] }`]],
  });
});
afterAll(() => gateway.close());

type Asked = Readonly<{
  line: string;
  /** The role of a valid token; undefined means anonymous. */
  role?: string;
  headers?: readonly Header[];
  body?: string;
}>;

async function explained({ line, role, headers = [] }: Asked) {
  const [method = '', path = ''] = line.split(' ');
  const caller = role === undefined ? {} : { role, user: 'u1', tenant: acme, client: 'web' };
  const lines = [host, ...headers].map(([name, value]) => `${name}: ${value}`);
  const config = loadConfig(gateway.file, { HASHED_SECRET: gateway.hmacSecret });
  const question = explainQuestion.parse({ method, path, headers: lines, ...caller });
  return explain(question, { config, nowMs: Date.now(), openIssuer: undefined });
}

async function served({ line, role, headers = [], body = '' }: Asked) {
  const token = role && (await gateway.issuer.accessToken({ user_id: 'u1', role, tenant_id: acme }));
  const all = [host, ...headers, ...(token === undefined ? [] : [['Authorization', `Bearer ${token}`] as const])];
  const closing = headers.some(([name]) => name === 'Connection') ? '' : '<close>\r\n';
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const before = gateway.upstream.requests.length;
  const answer = await gateway.raw(`${line} HTTP/1.1\r\n${lines}${closing}\r\n${body}`);
  return { answer, arrived: gateway.upstream.requests.slice(before) };
}

test.each<Asked>([
  { line: 'GET /v1/nowhere' },
  { line: 'GET /v1/open/../admin' },
  { line: 'GET /v1/admin/' },
  { line: 'GET /v1/Admin' },
  { line: 'DELETE /v1/admin', role: 'admin' },
  { line: 'TRACE /v1/admin' },
  { line: 'BREW /v1/admin' },
  { line: 'CONNECT /v1/admin' },
  { line: 'GET /v1/admin' },
  { line: 'GET /v1/admin', role: 'agent' },
  { line: 'GET /v1/tenants/globex/settings', role: 'admin' },
  { line: 'GET /v1/open/a', headers: [['Content-Length', '1']], body: 'x' },
  { line: 'POST /v1/bare', role: 'agent', headers: [['Content-Length', '1']], body: 'x' },
  {
    line: 'POST /v1/open/a',
    headers: [
      ['Content-Encoding', 'gzip'],
      ['Content-Length', '1'],
    ],
    body: 'x',
  },
  { line: 'POST /v1/open/a', headers: [['Content-Length', '9999999']] },
  {
    line: 'GET /v1/open/a',
    headers: [
      ['Content-Type', 'a'],
      ['Content-Type', 'b'],
    ],
  },
  { line: 'GET /v1/open/a', headers: [['X-Long', 'x'.repeat(13_000)]] },
  { line: 'OPTIONS /v1/admin', headers: [['Origin', 'https://other.test'], preflight] },
  { line: 'OPTIONS /v1/admin', headers: [['Origin', app]] },
  { line: 'GET /v1/open/a', headers: socket },
  { line: 'GET /v1/socket', role: 'agent', headers: [...socket, ['Origin', 'https://other.test']] },
])('explain refuses $line as the gateway does', async (asked) => {
  const { outcome, sends } = await explained(asked);
  const { answer, arrived } = await served(asked);
  expect({ status: answer.status, code: answer.code }).toEqual({ status: outcome.status, code: outcome.code });
  expect(answer.headers.allow).toBe(outcome.allow?.join(', '));
  expect(sends).toBeNull();
  expect(arrived).toEqual([]);
});

test.each<Asked>([{ line: 'OPTIONS /v1/admin', headers: [['Origin', app], preflight] }, { line: 'OPTIONS *' }])(
  'explain answers $line as the gateway does',
  async (asked) => {
    const { outcome, responds } = await explained(asked);
    const { answer, arrived } = await served(asked);
    expect([answer.status, outcome.status]).toEqual([204, 204]);
    const { 'x-request-id': _, ...expected } = Object.fromEntries(responds);
    expect(expected).not.toEqual({});
    expect(answer.headers).toMatchObject(expected);
    expect(arrived).toEqual([]);
  },
);

// Headers of the connection to the service, and values that differ each time.
const own = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'upgrade']);
const changing = new Set(['x-request-id', 'x-identity-context', 'x-forwarded-for', 'content-digest', 'signature']);

function comparable(headers: readonly Header[]): readonly string[] {
  return headers
    .map(([name, value]): Header => [name.toLowerCase(), value])
    .filter(([name]) => !own.has(name))
    .map(([name, value]) => {
      if (name === 'signature-input') return `${name}: ${value.replace(/;created=.*;alg=/, ';alg=')}`;
      return changing.has(name) ? name : `${name}: ${value}`;
    })
    .toSorted();
}

test.each<Asked>([
  {
    line: 'GET /v1/open/a?b=c',
    headers: [
      ['X_User_Id', 'root'],
      ['Accept', 'a/b'],
      ['X-Debug', '1'],
    ],
  },
  {
    line: 'HEAD /v1/open/a',
    headers: [
      ['Cookie', 'a=1; __Host-rt=x'],
      ['Connection', 'close, X-Gone'],
      ['X-Gone', '1'],
    ],
  },
  { line: 'GET /v2/things/1', role: 'agent' },
  { line: 'GET /v1/maybe', role: 'agent', headers: [['Origin', app]] },
  {
    line: 'POST /v1/hashed',
    role: 'agent',
    headers: [
      ['Content-Type', 'a/b'],
      ['Content-Length', '1'],
    ],
    body: 'x',
  },
  {
    line: 'POST /v1/things/1',
    role: 'agent',
    headers: [['Transfer-Encoding', 'chunked']],
    body: '1\r\nx\r\n0\r\n\r\n',
  },
  { line: 'POST /v1/things/1', role: 'agent' },
  { line: 'POST /v1/upload', role: 'agent', headers: [['Content-Length', '1']], body: 'x' },
  { line: 'GET /v1/socket', role: 'agent', headers: socket },
])('explain sends for $line what the gateway sends', async (asked) => {
  const { sends } = await explained(asked);
  const { arrived } = await served(asked);
  expect(arrived).toHaveLength(1);
  const { method, target, rawHeaders } = gateway.upstream.last();
  expect([method, target]).toEqual([sends?.method, sends?.target]);
  const headers = rawHeaders.flatMap((name, at): Header[] => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? '']] : []));
  expect(comparable(sends?.headers ?? [])).toEqual(comparable(headers));
});
