import { type Content, html, link } from '../html/parts.ts';
import type { Request } from './request.ts';

/** Refusals before the caller was known, which only the token explains. `rate_limited`: too many invalid ones. */
const ofToken = /^(?:token_(?!missing$)|(?:role|tenant)_missing$|dpop_|issuer_keys_|revocations_|rate_limited$)/;
/** The same for the internal listener. */
const ofCall = /^(?:caller_|call_|txn_token_)/;

/** Whether a DPoP proof was refused. Explain checks no proofs, only the token that came with the proof. */
export const isOfProof = (refusal: string): boolean => refusal.startsWith('dpop_');

/** The field that Explain needs to get the same result as the gateway. */
export type Needed = 'token' | 'service' | undefined;

/** @param refusal The code with which a request was refused before its caller was known. */
export function neededFor(refusal: string | undefined): Needed {
  if (refusal === undefined) return undefined;
  return ofToken.test(refusal) ? 'token' : ofCall.test(refusal) ? 'service' : undefined;
}

export function explainLink(item: Request): Content {
  // The request line could not be parsed.
  if (item.method === '' || item.path === '') return '';
  const unidentified = item.route !== null && item.identity === null && item.code !== null ? item.code : undefined;
  const needed = neededFor(unidentified);
  const fields = Object.entries({
    method: item.method,
    path: item.path,
    ...(needed === undefined ? callerOf(item) : { refused: item.code, service: item.service_id }),
  }).filter((field): field is [string, string] => field[1] !== null && field[1] !== '');
  const explain = (text: string) => link('/console/explain', text, Object.fromEntries(fields));
  if (unidentified !== undefined && isOfProof(unidentified)) {
    return html`${explain('Paste the token to explain the rest')}. The gateway keeps neither the token nor the proof.`;
  }
  if (needed === 'token')
    return html`${explain('Paste the token to see why')} it was refused. The gateway does not keep it.`;
  if (needed === 'service') return explain('Explain what a service may call here');
  const uncounted =
    item.code === 'rate_limited'
      ? html` Explain ignores rate limits: see ${link('/console/limits', 'Limits')} for callers at a limit.`
      : '';
  return html`${explain('Explain this request')} with the current configuration. The gateway does not keep its headers and body.${uncounted}`;
}

const callerOf = (item: Request): Readonly<Record<string, string | null>> => ({
  role: item.role,
  tenant: item.tenant_id,
  user: item.user_id,
  client: item.client_id,
  scope: item.scope.join(' '),
  actor: item.actor,
  issuer: item.issuer,
  claims: claimLines(item.claims),
  bound: item.bound ? 'on' : null,
  service: item.service_id,
});

/** Writes claims as `name: value` lines, as Explain reads them. Quotes strings that could be read as another type. */
const claimLines = (claims: Request['claims']): string =>
  Object.entries(claims)
    .flatMap(([name, values]) => values.map((value) => `${name}: ${isPlain(value) ? value : JSON.stringify(value)}`))
    .join('\n');

const isPlain = (value: unknown): boolean =>
  typeof value === 'string' && /^[a-z_/][\w./:@+-]*$/i.test(value) && !/^(?:true|false)$/.test(value);
