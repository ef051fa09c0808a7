import { isPlainHttp } from '@countersign/process-kit';
import { discoveryPathOf, tokenKeySetPath } from '../own-paths.ts';
import { intersectionOf, parsePattern } from '../path-pattern.ts';
import { isReservedId, tokenIssuerOf } from '../schema/identity-token.ts';
import { plainHttp } from '../schema/values/urls.ts';
import { below, type CheckedFile, type Refuse } from './cross-checks.ts';

/** Checks everything that identity tokens depend on outside their own keys. */
export function checkIdentityTokens(file: CheckedFile, refuse: Refuse): void {
  const { upstreams, issuers, identity, insecureTransport } = file;
  for (const [name, { identity: part }] of Object.entries(upstreams)) {
    if (part?.headers === false && part.token === undefined) {
      refuse(['upstreams', name, 'identity', 'headers'], 'needs "token": the service would receive no identity');
    }
  }
  const receivers = Object.entries(upstreams).flatMap(([name, part]) => (part.identity?.token ? [name] : []));
  if (receivers.length === 0) return;
  for (const name of receivers) checkReceiver(name, file, below(refuse, 'upstreams', name, 'identity', 'token'));
  for (const [index, { userPrefix }] of issuers.entries()) {
    if (userPrefix !== undefined && isReservedId(userPrefix)) {
      refuse(['issuers', index, 'userPrefix'], 'is how identity tokens name callers that are not users');
    }
  }
  const { issuer } = identity ?? {};
  if (issuer === undefined) return;
  if (isPlainHttp(issuer) && !insecureTransport) refuse(['identity', 'issuer'], plainHttp);
  checkDistinct(issuer, receivers, file, refuse);
  checkDiscovery(issuer, receivers, file, refuse);
}

function checkReceiver(
  name: string,
  { upstreams, issuers, identity, routes, isMalformed }: CheckedFile,
  refuse: Refuse,
) {
  const token = upstreams[name]?.identity?.token;
  if (identity?.issuer === undefined && !isMalformed('identity')) {
    refuse([], 'needs identity.issuer, such as "http://gateway.internal:8090"');
  }
  const email = token?.claims.indexOf('email') ?? -1;
  const isSeveral = issuers.length > 1 || issuers.some(({ template }) => template !== undefined);
  if (email !== -1 && isSeveral) {
    refuse(['claims', email], 'cannot be copied with two or more issuers: some let people choose any address');
  }
  const forwarding = routes.findIndex(({ upstream, forward }) => upstream === name && forward?.authorization === true);
  if (token?.header === 'authorization' && forwarding !== -1) {
    const other = ['routes', forwarding, 'forward', 'authorization'];
    refuse(['header'], "is also the client's header, which a route forwards: use another name", { other });
  }
}

/** As people compare issuers by eye: without case, and without a last slash. */
const folded = (issuer: string): string => issuer.toLowerCase().replace(/\/$/, '');

/** A service that trusts one of the file's issuers must not take the gateway's tokens for that issuer's. */
function checkDistinct(issuer: string, receivers: readonly string[], { issuers }: CheckedFile, refuse: Refuse): void {
  const ours = [issuer, ...receivers.map((name) => tokenIssuerOf(issuer, name))].map(folded);
  for (const [index, { issuer: theirs = '' }] of issuers.entries()) {
    const parts = folded(theirs).split(/\{[^}]*\}/);
    const pattern = new RegExp(`^${parts.map((part) => part.replace(/[^\w]/g, '\\$&')).join('[^/]+')}$`);
    if (!ours.some((one) => pattern.test(one))) continue;
    refuse(['identity', 'issuer'], 'is also an issuer of access tokens', { other: ['issuers', index, 'issuer'] });
  }
}

/** A service that asks the public listener for our keys must not get another service's answer. */
function checkDiscovery(
  issuer: string,
  receivers: readonly string[],
  { routes, publicOrigins = [], listen }: CheckedFile,
  refuse: Refuse,
): void {
  if (!publicOrigins.includes(issuer) && new URL(issuer).port !== String(listen.public?.port)) return;
  const paths = [tokenKeySetPath, ...receivers.map(discoveryPathOf)];
  const index = routes.findIndex(({ path = '', auth }) => auth !== 'service' && paths.some((one) => covers(path, one)));
  if (index === -1) return;
  const message =
    'is the address of the public listener, where a route serves the path of the metadata: use that of listen.internal';
  refuse(['identity', 'issuer'], message, { other: ['routes', index, 'path'] });
}

function covers(pattern: string, path: string): boolean {
  const [segments = '', place = ''] = [pattern, path].map(parsePattern);
  return typeof segments !== 'string' && typeof place !== 'string' && intersectionOf(segments, place) !== undefined;
}
