import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import {
  orderedRoutes,
  type PathSegment,
  type PlannedRoute,
  type ProxyPlan,
  servicesOf,
  tokenHeadersOf,
} from './plan.ts';

type Answer = Readonly<{ status: number; requestId: string | undefined }>;

export type ProbeProblem = Readonly<{ request: string; problem: string }>;

const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const timeoutMs = 10_000;

/** What the gateway's public listener answers everyone. */
const ownMetadata = /^\/\.well-known\/oauth-protected-resource(\/|$)/;

/**
 * Probes a running proxy, whose configuration may have been edited. Every response must show that the proxy asked the
 * gateway. It must have the gateway's request id. On a route that needs a token, the refusal must be `token_missing`,
 * whatever identity headers the request has.
 *
 * @param origin Where the proxy listens.
 * @param host The `Host` of each request.
 * @param paths More paths that the proxy serves, from its own configuration.
 * @returns The problems found. Rejects if the proxy cannot be reached.
 */
export async function probe(
  { routes }: Pick<ProxyPlan, 'routes'>,
  origin: string,
  host = new URL(origin).host,
  paths: readonly string[] = [],
): Promise<readonly ProbeProblem[]> {
  const problems: ProbeProblem[] = [];
  const ask = (method: string, path: string, headers: readonly string[]) =>
    send(origin, method, path, ['host', host, 'connection', 'close', ...headers]);
  const expectDecision = async (
    method: string,
    path: string,
    extra: readonly string[],
    route: PlannedRoute | undefined,
  ) => {
    const name = [`${method} ${path}`, ...extra.slice(0, 1)].join(' with ');
    const problem = await ask(method, path, extra).then(
      (answer) => problemOf(answer, route, extra),
      (error: NodeJS.ErrnoException) => `no answer: ${error.code ?? error.message}`,
    );
    if (problem !== undefined) problems.push({ request: name, problem });
  };
  await ask('GET', '/', []);
  const spoofed = [...identityHeaders, ...tokenHeadersOf(servicesOf({ routes })).map((name) => [name, 'probe'])];
  for (const route of routes) {
    const path = examplePath(route.segments);
    const [method = 'GET'] = route.methods;
    for (const extra of [[], ...spoofed]) await expectDecision(method, path, extra, route);
  }
  for (const path of ['/decide', '/countersign-decide', '/.countersign-probe'])
    await expectDecision('GET', path, [], undefined);
  const patterns = [...orderedRoutes({ routes }).map(({ pattern }) => new RegExp(pattern)), ownMetadata];
  for (const path of paths) {
    // A location that closes the connection, such as `return 444`, serves nothing.
    const answer = await ask('GET', encodeURI(path), []).catch(() => undefined);
    if (answer === undefined) continue;
    const isDecided = hasDecision(answer) && (answer.status >= 400 || patterns.some((pattern) => pattern.test(path)));
    if (!isDecided) problems.push({ request: `GET ${path}`, problem: withoutDecision(answer) });
  }
  return problems;
}

/** Forged identity headers, and request targets that a proxy must not normalize. */
const identityHeaders: readonly (readonly string[])[] = [
  ['x-user-id', 'probe', 'x-user-role', 'admin', 'x-tenant-id', 'probe', 'x-identity', 'user'],
  ['X.User.Id', 'probe'],
  ['X_User_Id', 'probe'],
  ['connection', 'close, x-user-id, signature, signature-input'],
  ['x-forwarded-uri', '/', 'x-original-url', '/', 'x-rewrite-url', '/'],
  ['content-type', 'text/plain', 'content-type', 'text/html'],
];

function problemOf(answer: Answer, route: PlannedRoute | undefined, extra: readonly string[]) {
  const { status } = answer;
  // A request that the proxy's own parser refuses never reaches a service.
  if (status === 400 && extra.length > 0) return undefined;
  if (route === undefined) return status < 400 ? `answers ${status}: although no route matches` : undefined;
  if (!hasDecision(answer)) return withoutDecision(answer);
  if (route.needsToken && status < 400) return `answers ${status} without a token`;
  return undefined;
}

const hasDecision = ({ requestId }: Answer) => requestId !== undefined && uuidV7.test(requestId);
const withoutDecision = ({ status }: Answer) => `answers ${status} without a decision by the gateway`;

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

/** What a probe can ask for, and the `location` lines that name no path. */
export type Locations = Readonly<{ paths: readonly string[]; patterns: readonly string[] }>;

const location = /\blocation *(=|\^~|~\*|~)? *(?:"([^"]*)"|'([^']*)'|([^ {]+)) *\{(?=([^{}]*))/g;

/** Leaves out locations that no client can reach. `text` is what `nginx -T` prints. */
export function nginxLocations(text: string): Locations {
  const paths = new Set<string>();
  const patterns = new Set<string>();
  const oneLine = text.replace(/(^|[ \t;{}])#.*$/gm, '$1').replace(/[\t\r\n]/g, ' ');
  for (const match of oneLine.matchAll(location)) {
    const [, modifier = '', double, single, bare, body = ''] = match;
    const path = double ?? single ?? bare ?? '';
    if (path.startsWith('@') || /\binternal *;/.test(body)) continue;
    if (modifier.startsWith('~')) patterns.add(`${modifier} ${path}`);
    else paths.add(path);
  }
  return { paths: [...paths], patterns: [...patterns] };
}
