import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import type { PathSegment, PlannedRoute, ProxyPlan } from './plan.ts';

/** A running proxy's response to one request. */
type Answer = Readonly<{ status: number; requestId: string | undefined }>;

export type Finding = Readonly<{ request: string; problem: string }>;

const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const timeoutMs = 10_000;

/**
 * Probes a running proxy, whose configuration may have been edited. Every response must show that the proxy asked the
 * gateway. It must have the gateway's request id. On a route that needs a token, the refusal must be `token_missing`,
 * whatever identity headers the request has.
 *
 * @param origin Where the proxy listens.
 * @param host The `Host` of each request.
 * @returns The problems found. Rejects if the proxy cannot be reached.
 */
export async function probe(
  { routes }: Pick<ProxyPlan, 'routes'>,
  origin: string,
  host = new URL(origin).host,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const ask = (method: string, path: string, headers: readonly string[]) =>
    send(origin, method, path, ['host', host, 'connection', 'close', ...headers]);
  const expectDecision = async (
    method: string,
    path: string,
    extra: readonly string[],
    route: PlannedRoute | undefined,
  ) => {
    const name = [`${method} ${path}`, ...extra.slice(0, 1)].join(' with ');
    const answer = await ask(method, path, extra);
    const problem = problemOf(answer, route, extra);
    if (problem !== undefined) findings.push({ request: name, problem });
  };
  for (const route of routes) {
    const path = examplePath(route.segments);
    const [method = 'GET'] = route.methods;
    for (const extra of [[], ...spoofed]) await expectDecision(method, path, extra, route);
  }
  for (const path of ['/decide', '/countersign-decide', '/.countersign-probe'])
    await expectDecision('GET', path, [], undefined);
  return findings;
}

/** Forged identity headers, and request targets that a proxy must not normalize. */
const spoofed: readonly (readonly string[])[] = [
  ['x-user-id', 'probe', 'x-user-role', 'admin', 'x-tenant-id', 'probe', 'x-identity', 'user'],
  ['X.User.Id', 'probe'],
  ['X_User_Id', 'probe'],
  ['connection', 'close, x-user-id, signature, signature-input'],
  ['x-forwarded-uri', '/', 'x-original-url', '/', 'x-rewrite-url', '/'],
  ['content-type', 'text/plain', 'content-type', 'text/html'],
];

function problemOf({ status, requestId }: Answer, route: PlannedRoute | undefined, extra: readonly string[]) {
  // A request that the proxy's own parser refuses never reaches a service.
  if (status === 400 && extra.length > 0) return undefined;
  if (route === undefined) return status < 400 ? `answers ${status}: although no route matches` : undefined;
  if (requestId === undefined || !uuidV7.test(requestId)) return `answers ${status} without a decision by the gateway`;
  if (route.needsToken && status < 400) return `answers ${status} without a token`;
  return undefined;
}

const examplePath = (segments: readonly PathSegment[]): string =>
  `/${segments.map((segment) => (segment.kind === 'literal' ? segment.text : 'probe')).join('/')}`;

function send(origin: string, method: string, path: string, headers: readonly string[]): Promise<Answer> {
  const { protocol, hostname, port } = new URL(origin);
  const open = protocol === 'https:' ? requestTls : request;
  return new Promise((resolve, reject) => {
    const call = open({ hostname, port, method, path, headers, timeout: timeoutMs }, (response) => {
      response.resume();
      response.on('error', reject);
      response.on('end', () => {
        const requestId = response.headers['x-request-id'];
        resolve({ status: response.statusCode ?? 0, requestId: typeof requestId === 'string' ? requestId : undefined });
      });
    });
    call.on('timeout', () => call.destroy(new Error(`no answer in ${timeoutMs} ms`)));
    call.on('error', reject);
    call.end();
  });
}
