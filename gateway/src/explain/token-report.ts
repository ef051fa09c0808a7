import { type KeySet, keyIssuer } from '@countersign/jwks';
import type { GatewayConfig, Issuer } from '../config/config.ts';
import { AppError, type Code } from '../errors.ts';
import { verifySignature } from '../keys/verify-signature.ts';
import { advice, missing } from '../tokens/claim-mapping/advice.ts';
import { pathText } from '../tokens/claim-mapping/claim-path.ts';
import {
  examineHeader,
  headerFindings,
  issuerFinding,
  keyIssuerFinding,
} from '../tokens/claim-mapping/examine-header.ts';
import { findIssuer } from '../tokens/claim-mapping/find-issuer.ts';
import { described, type Finding } from '../tokens/claim-mapping/finding.ts';
import { examineClaims } from '../tokens/claim-mapping/read-claims.ts';
import type { Claims } from '../tokens/claims.ts';
import { parseCompactToken, type UnverifiedToken } from '../tokens/compact-token.ts';
import { bindingFindings, type Listener } from './binding-findings.ts';
import type { AcceptedToken } from './example-request.ts';

/** What an issuer of the configuration makes of a token. */
export type IssuerReport = Readonly<{
  issuer: string;
  name: string | undefined;
  provider: Issuer['provider'];
  /** Whether `iss` is this issuer's. */
  isOwn: boolean;
  findings: readonly Finding[];
  /** What the service would read. Undefined: the token is refused. */
  identity:
    | (Pick<Claims, 'kind' | 'userId' | 'role' | 'tenantId' | 'sessionId' | 'clientId' | 'scope' | 'roles' | 'act'> & {
        bound: boolean;
      })
    | undefined;
}>;

export type TokenReport = Readonly<{
  /** Undefined: the text is not a token. `unreadable` says why. */
  token: UnverifiedToken | undefined;
  unreadable: string | undefined;
  issuers: readonly IssuerReport[];
  /** Undefined: every issuer refuses the token. Not for output: it has the configuration of the issuer. */
  accepted: AcceptedToken | undefined;
}>;

export type ReportOptions = Readonly<{
  nowMs: number;
  /** Opens the keys of the token's issuer. Undefined: the signature is not checked. */
  openKeys: ((issuer: Issuer) => Readonly<{ keys: KeySet; why(): string }>) | undefined;
}>;

/**
 * Says for each issuer everything that is wrong with a token, with the code that verifies tokens. It goes on after the first
 * problem, and it never repeats the signature.
 */
export async function reportToken(
  config: Pick<GatewayConfig, 'issuers'> & Listener,
  text: string,
  options: ReportOptions,
): Promise<TokenReport> {
  const { issuers } = config;
  let token: UnverifiedToken;
  try {
    token = parseCompactToken(text);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { token: undefined, unreadable: whyUnreadable(text, error), issuers: [], accepted: undefined };
  }
  const own = ownIssuer(issuers, token);
  const ordered = own === undefined ? issuers : [own, ...issuers.filter((issuer) => issuer !== own)];
  const reports: IssuerReport[] = [];
  let accepted: AcceptedToken | undefined;
  for (const issuer of ordered) {
    const { claims, ...report } = await reportFor(issuer, issuer === own, text, token, {
      ...options,
      listener: config,
    });
    reports.push(report);
    if (report.identity !== undefined) accepted ??= { claims, issuer };
  }
  return { token, unreadable: undefined, issuers: reports, accepted };
}

function ownIssuer(issuers: readonly Issuer[], { payload }: UnverifiedToken): Issuer | undefined {
  const iss = Object.hasOwn(payload, 'iss') ? payload.iss : undefined;
  if (typeof iss !== 'string') return undefined;
  return findIssuer(new Map(issuers.map((config) => [config.issuer, { config }])), iss)?.config;
}

async function reportFor(
  issuer: Issuer,
  isOwn: boolean,
  text: string,
  token: UnverifiedToken,
  { nowMs, openKeys, listener }: ReportOptions & Readonly<{ listener: Listener }>,
): Promise<IssuerReport & Readonly<{ claims: Claims }>> {
  const { header, payload } = token;
  const named = headerFindings(header);
  const { claims, findings } = examineClaims(header, payload, issuer, nowMs);
  const all: Finding[] = [
    ...(isOwn ? [] : [issuerFinding(Object.hasOwn(payload, 'iss') ? payload.iss : undefined, [{ config: issuer }])]),
    ...named,
    ...examineHeader(header, issuer),
    ...(isOwn && openKeys !== undefined && named.length === 0
      ? await signatureFindings(issuer, text, token, openKeys)
      : []),
    ...findings,
    ...bindingFindings(claims, listener),
  ];
  const { kind, userId, role, tenantId, sessionId, clientId, scope, roles, act, jkt, certificate } = claims;
  const bound = jkt !== undefined || certificate !== undefined;
  return {
    issuer: issuer.issuer,
    name: issuer.name,
    provider: issuer.provider,
    isOwn,
    findings: once(all).map((finding) => withAdvice(finding, issuer, payload)),
    identity:
      all.length === 0 ? { kind, userId, role, tenantId, sessionId, clientId, scope, roles, act, bound } : undefined,
    claims,
  };
}

/** One claim can fail for two reasons with the same text. */
const once = (findings: readonly Finding[]): readonly Finding[] => [
  ...new Map(findings.map((finding) => [`${finding.code} ${finding.claim}`, finding])).values(),
];

function withAdvice(finding: Finding, { provider, claims }: Issuer, payload: UnverifiedToken['payload']): Finding {
  const dotted = dottedPath(finding, payload);
  if (dotted !== undefined) return { ...finding, fix: `a dot is part of a name: write the path as ${dotted}` };
  // Advice about claims is about roles and tenants.
  const isMapped = [claims.role, claims.tenantId].some(
    (source) => 'path' in source && pathText(source.path) === finding.claim,
  );
  const isMissing = finding.code === 'role_missing' || finding.code === 'tenant_missing';
  const code = isMissing ? 'token_claims_invalid' : finding.code;
  const general = code === 'token_claims_invalid' && !isMapped ? undefined : provider && advice[provider]?.[code];
  const atProvider =
    (finding.found === 'nothing' ? provider && missing[provider]?.[finding.claim] : undefined) ?? general;
  return atProvider === undefined ? finding : { ...finding, fix: `${finding.fix}; ${atProvider}` };
}

/** A name with dots that would lead to a value if it were a path. */
function dottedPath({ claim, found }: Finding, payload: UnverifiedToken['payload']): string | undefined {
  if (found !== 'nothing' || !claim.includes('.') || claim.includes('://')) return undefined;
  const steps = claim.split('.');
  let value: unknown = payload;
  for (const step of steps) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return `[${steps.join(', ')}]`;
}

async function signatureFindings(
  issuer: Issuer,
  text: string,
  { header, payload }: UnverifiedToken,
  openKeys: NonNullable<ReportOptions['openKeys']>,
): Promise<readonly Finding[]> {
  const kid = String(header.kid);
  const { keys, why } = openKeys(issuer);
  try {
    const { key } = await verifySignature(text, { alg: String(header.alg), kid }, keys, issuer.issuer);
    return keyIssuerFinding(keyIssuer(key), String(payload.iss), issuer);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [signatureFinding(error.code as Code, issuer, kid, why)];
  } finally {
    keys.stop();
  }
}

/** @param why Says why the keys cannot be fetched. */
function signatureFinding(code: Code, { shownJwks }: Issuer, kid: string, why: () => string): Finding {
  if (code === 'token_key_unknown') {
    const fix =
      'compare the kid with the key set of the issuer: the token may be of another issuer, or its key withdrawn';
    return { code, claim: 'header kid', wanted: `a key at ${shownJwks}`, found: described(kid), fix };
  }
  if (code === 'issuer_keys_unavailable') {
    const fix = 'check that this machine reaches the URL, or use --offline to skip the signature';
    return { code, claim: 'keys', wanted: `the keys at ${shownJwks}`, found: why(), fix };
  }
  const fix =
    'the token was changed or cut, or signed by someone else, or the key may have changed and kept its kid: get a new one';
  return { code, claim: 'signature', wanted: 'a valid signature', found: 'an invalid one', fix };
}

function whyUnreadable(text: string, { code, detail }: AppError): string {
  if (code === 'token_too_large') return 'it is longer than 8192 characters';
  const parts = text.split('.').length;
  if (parts === 1) return 'it is not a JWT: an opaque token, which only its issuer can read';
  if (parts === 5) return 'it is encrypted (JWE), so only its issuer can read it';
  return `it is not a JWT: ${String(detail?.reason ?? 'malformed')}`;
}
