import { foldHeaderName, isIdentityHeader } from '@countersign/identity';
import type { Signed } from '../../exchange.ts';
import { mayBeSet } from '../../http/cookies.ts';

export type AnswerHeaders = Readonly<{
  /** Names and values in turn, as `writeHead` takes them; repeated ones stay apart. */
  passing: string[];
  /** The service did not accept our signature, and says why. */
  identityRefused: string | undefined;
  /** The service could not check our signature, and says why. */
  identityUnavailable: string | undefined;
  /** `Transfer-Encoding`, which is not passed on. */
  coding: string | undefined;
}>;

type Verdict =
  | 'pass'
  | 'drop'
  | 'connection'
  | 'transfer-encoding'
  | 'set-cookie'
  | 'identity-refused'
  | 'identity-unavailable'
  | 'limits'
  | 'cors'
  | 'nonce';

const dropped: ReadonlySet<string> = new Set([
  // Of the connection to the service, which is not the client's.
  'proxy-connection',
  'keep-alive',
  'te',
  'trailer',
  'upgrade',
  'proxy-authenticate',
  'proxy-authorization',
  // What runs inside is nobody's business.
  'server',
  'x-powered-by',
]);

const limitHeaders: ReadonlySet<string> = new Set(['ratelimit', 'ratelimit-policy']);

const verdicts = new Map<string, Verdict>();
// Services choose these names; a hostile one must not fill our memory.
const maxRemembered = 1_000;

function verdictOn(name: string): Verdict {
  const known = verdicts.get(name);
  if (known !== undefined) return known;
  const folded = foldHeaderName(name);
  const verdict = judge(folded);
  if (verdicts.size < maxRemembered) verdicts.set(name, verdict);
  return verdict;
}

function judge(folded: string): Verdict {
  if (folded === 'x-identity-refused') return 'identity-refused';
  if (folded === 'x-identity-unavailable') return 'identity-unavailable';
  if (folded === 'connection' || folded === 'set-cookie' || folded === 'transfer-encoding') return folded;
  if (limitHeaders.has(folded)) return 'limits';
  if (folded.startsWith('access-control-')) return 'cors';
  if (folded === 'dpop-nonce') return 'nonce';
  return dropped.has(folded) || isIdentityHeader(folded) ? 'drop' : 'pass';
}

/**
 * What of a service's answer reaches the client: everything but identity headers, what belongs to the inner connection,
 * what says what runs inside, guarded cookies on routes that do not name them, and cookies for a foreign domain. Then what the gateway has to say itself, in
 * place of the service's own word on the same thing.
 *
 * @param raw Names and values in turn, as they came.
 */
export function answerHeaders(
  raw: readonly (string | Buffer)[],
  { route, client, record }: Pick<Signed, 'route' | 'client' | 'record'>,
): AnswerHeaders {
  const passing: string[] = [];
  let identityRefused: string | undefined;
  let identityUnavailable: string | undefined;
  let connection: string | undefined;
  let coding: string | undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const name = text(raw[at]);
    const value = text(raw[at + 1]);
    switch (verdictOn(name)) {
      case 'pass':
        passing.push(name, value);
        break;
      case 'set-cookie':
        if (mayBeSet(value, route.forward.cookies, client.host)) passing.push(name, value);
        break;
      case 'connection':
        connection = connection === undefined ? value : `${connection},${value}`;
        break;
      case 'transfer-encoding':
        coding = coding === undefined ? value : `${coding},${value}`;
        break;
      case 'limits':
        if (record.limits === undefined) passing.push(name, value);
        break;
      case 'cors':
        if (record.cors === undefined) passing.push(name, value);
        break;
      case 'nonce':
        if (record.nonce === undefined && route.forward.dpop) passing.push(name, value);
        break;
      case 'identity-refused':
        identityRefused = value;
        break;
      case 'identity-unavailable':
        identityUnavailable = value;
    }
  }
  const left = connection === undefined ? passing : withoutNamed(passing, connection);
  if (record.limits !== undefined) left.push(...record.limits);
  if (record.cors !== undefined) left.push(...record.cors);
  if (record.nonce !== undefined) left.push(...record.nonce);
  if (record.defaults !== undefined) addMissing(left, record.defaults);
  return { passing: left, identityRefused, identityUnavailable, coding };
}

/** Of a 101 or 204: there is nothing to be long, and who believes a length would wait for it (RFC 9110 section 8.6). */
export function dropLength(headers: string[]): void {
  for (let at = headers.length - 2; at >= 0; at -= 2) {
    if (headers[at]?.toLowerCase() === 'content-length') headers.splice(at, 2);
  }
}

function withoutNamed(headers: string[], connection: string): string[] {
  const named = new Set(connection.split(',').map((token) => foldHeaderName(token.trim())));
  named.delete('keep-alive');
  named.delete('close');
  if (named.size === 0) return headers;
  const left: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? '';
    if (!named.has(foldHeaderName(name))) left.push(name, headers[at + 1] ?? '');
  }
  return left;
}

function addMissing(headers: string[], defaults: readonly string[]): void {
  const present = new Set(headers.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()));
  for (let at = 0; at < defaults.length; at += 2) {
    const name = defaults[at] ?? '';
    if (!present.has(name)) headers.push(name, defaults[at + 1] ?? '');
  }
}

// Latin-1 keeps every byte as it is, and is what node writes headers in.
const text = (part: string | Buffer | undefined): string =>
  typeof part === 'string' ? part : (part?.toString('latin1') ?? '');
