import type { TokenReport } from '@countersign/console';
import { keyIssuer } from '@countersign/jwks';
import { docsPage, printable } from '@countersign/process-kit';
import type { EndOrigin } from '@countersign/signals';
import type { GatewayConfig, Issuer } from '../config/config.ts';
import { tokenIssuerOf } from '../config/schema/identity-token.ts';
import { AppError, type Code } from '../errors.ts';
import { verifySignature } from '../keys/verify-signature.ts';
import { advice, missing } from '../tokens/claim-mapping/advice.ts';
import { claimOf, pathText, readPath } from '../tokens/claim-mapping/claim-path.ts';
import {
  examineHeader,
  headerFindings,
  issuerFinding,
  keyIssuerFinding,
} from '../tokens/claim-mapping/examine-header.ts';
import { described, type Finding, finding } from '../tokens/claim-mapping/finding.ts';
import { compileClaims } from '../tokens/claim-mapping/read-claims.ts';
import type { Claims } from '../tokens/claims.ts';
import { compileAnswers, introspect, introspectingIssuer, isOpaque } from '../tokens/introspection/opaque-tokens.ts';
import { parseJwt, type UnverifiedJwt } from '../tokens/parse-jwt.ts';
import { assertUnrevoked, type TrustedIssuer } from '../tokens/verified-tokens.ts';
import { type AcceptedToken, callerOf, identityOf, issuerOf } from './callers.ts';

export type IssuerReport = TokenReport['issuers'][number];

/** An issuer with its keys, and its revocations if they are known here. */
export type OpenedIssuer = Readonly<{
  trusted: TrustedIssuer;
  why(): string;
  close(): void;
}>;

export type ReportOptions = Readonly<{
  nowMs: number;
  /** If undefined, the report checks neither the signature nor revocations, and introspects nothing. */
  openIssuer: ((issuer: Issuer) => OpenedIssuer | Promise<OpenedIssuer>) | undefined;
}>;

type Config = Pick<GatewayConfig, 'issuers' | 'publicOrigins' | 'certificate' | 'identity' | 'upstreams'>;

/**
 * Reports everything that is wrong with a token, for each issuer, with the code that verifies tokens. `accepted`
 * contains the issuer's configuration, so do not print it.
 *
 * @param given The token, a header value that contains it, or a token endpoint's JSON.
 */
export async function reportToken(
  config: Config,
  given: string,
  options: ReportOptions,
): Promise<Readonly<{ report: TokenReport; accepted: AcceptedToken | undefined }>> {
  const { issuers } = config;
  const text = tokenIn(given.trim());
  const introspecting = isOpaque(text) ? introspectingIssuer(issuers) : undefined;
  if (introspecting !== undefined && options.openIssuer !== undefined) {
    const opened = await options.openIssuer(introspecting);
    return reportOpaque(text, opened, config, options.nowMs);
  }
  let token: UnverifiedJwt;
  try {
    token = parseJwt(text);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const report = { unreadable: whyUnreadable(text, error), header: null, claims: null, issuers: [] };
    return { report, accepted: undefined };
  }
  const { header, payload } = token;
  const iss = claimOf(payload, 'iss');
  const receiver = [...config.upstreams.keys()].find(
    (name) => tokenIssuerOf(config.identity.issuer ?? '', name) === iss,
  );
  if (receiver !== undefined) {
    const unreadable = `issued by this gateway for ${receiver}: an identity token, never an access token`;
    const report = { unreadable, header: { ...header }, claims: { ...payload }, issuers: [] };
    return { report, accepted: undefined };
  }
  const own = typeof iss === 'string' ? issuerOf(issuers, iss) : undefined;
  const ordered = own === undefined ? issuers : [own, ...issuers.filter((issuer) => issuer !== own)];
  const reports: IssuerReport[] = [];
  let accepted: AcceptedToken | undefined;
  for (const issuer of ordered) {
    const { claims, findings } = await examineFor(issuer, issuer === own, text, token, config, options);
    if (findings.length === 0) accepted ??= { claims, issuer };
    reports.push(issuerReport({ claims, issuer }, findings, payload, issuer === own));
  }
  return { report: { unreadable: null, header: { ...header }, claims: { ...payload }, issuers: reports }, accepted };
}

function issuerReport(
  token: AcceptedToken,
  findings: readonly Finding[],
  payload: UnverifiedJwt['payload'],
  own: boolean,
): IssuerReport {
  const { issuer } = token;
  const accepted = findings.length === 0;
  return {
    issuer: issuer.issuer,
    name: issuer.name ?? null,
    provider: issuer.provider ?? null,
    own,
    accepted,
    findings: once(findings).map((finding) => withAdvice(finding, issuer, payload)),
    identity: accepted ? identityOf(callerOf({ token })) : null,
  };
}

async function reportOpaque(
  text: string,
  { trusted, close }: OpenedIssuer,
  config: Config,
  nowMs: number,
): ReturnType<typeof reportToken> {
  const { config: issuer } = trusted;
  try {
    const { members, kid } = await introspect(trusted, text, () => nowMs);
    const { claims, findings } = compileAnswers(issuer)(members, nowMs);
    const named = findings.some(({ code }) => code === 'token_inactive')
      ? findings
      : [...findings, ...bindingFindings(claims, config)];
    const all = named.length > 0 ? named : revocationFindings(trusted, claims, kid, nowMs);
    const report = {
      unreadable: null,
      header: null,
      claims: { ...members },
      issuers: [issuerReport({ claims, issuer }, all, members, true)],
    };
    return { report, accepted: all.length === 0 ? { claims, issuer } : undefined };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const unreadable = `it is opaque, and the introspection endpoint of ${issuer.issuer} cannot be used: ${String(error.detail?.reason)}`;
    return { report: { unreadable, header: null, claims: null, issuers: [] }, accepted: undefined };
  } finally {
    close();
  }
}

/** Extracts a token from a header value, a quoted text, or a token endpoint's JSON. */
function tokenIn(text: string): string {
  if (!text.startsWith('{')) {
    return text.replace(/^(?:authorization:\s*)?(?:bearer|dpop)\s+/i, '').replace(/^"(.*)"$/, '$1');
  }
  try {
    const { access_token: token } = JSON.parse(text) as { access_token?: unknown };
    return typeof token === 'string' ? token : text;
  } catch {
    return text;
  }
}

async function examineFor(
  issuer: Issuer,
  isOwn: boolean,
  text: string,
  token: UnverifiedJwt,
  config: Config,
  { nowMs, openIssuer }: ReportOptions,
): Promise<Readonly<{ claims: Claims; findings: readonly Finding[] }>> {
  const { header, payload } = token;
  const named = headerFindings(header);
  const { claims, findings } = compileClaims(issuer)(header, payload, nowMs);
  const opened = isOwn && named.length === 0 ? await openIssuer?.(issuer) : undefined;
  const all = [
    ...(isOwn ? [] : [issuerFinding(claimOf(payload, 'iss'), [{ config: issuer }])]),
    ...named,
    ...examineHeader(header, issuer),
    ...(opened === undefined ? [] : await signatureFindings(text, token, opened)),
    ...findings,
    ...bindingFindings(claims, config),
  ];
  if (all.length > 0 || opened === undefined) return { claims, findings: all };
  return { claims, findings: revocationFindings(opened.trusted, claims, String(header.kid), nowMs) };
}

/** Finds bindings that this listener cannot check. It refuses every token that has one. */
function bindingFindings(
  { jkt, certificate }: Claims,
  listener: Pick<GatewayConfig, 'publicOrigins' | 'certificate'>,
): readonly Finding[] {
  const findings: Finding[] = [];
  if (certificate !== undefined && listener.certificate?.clients === undefined) {
    const wanted = 'no x5t#S256, because the listener does not ask clients for a certificate';
    findings.push(finding('token_certificate_unsupported', 'cnf', wanted, 'x5t#S256', 'set listen.tls.clients'));
  }
  if (jkt !== undefined && listener.publicOrigins.length === 0) {
    const wanted = 'no jkt, because DPoP proofs cannot be checked without publicOrigins';
    findings.push(finding('token_proof_missing', 'cnf', wanted, 'jkt', 'set publicOrigins'));
  }
  return findings;
}

function revocationFindings(issuer: TrustedIssuer, claims: Claims, kid: string, nowMs: number): readonly Finding[] {
  try {
    assertUnrevoked({ issuer, claims, kid }, nowMs);
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const [found, fix] =
      error.code === 'token_revoked'
        ? [endText(issuer, claims, nowMs), 'log in again']
        : ['the gateway cannot read revocations now', `see ${docsPage('operations/revocations.md')}`];
    return [finding(error.code as Code, 'revocation', 'no revocation in effect', found, fix)];
  }
}

const sourceNames = {
  backchannel_logout: 'back-channel logout',
  shared_signals: 'Shared Signals',
  webhook: 'webhook',
  call: 'revoke call',
} as const satisfies Readonly<Record<EndOrigin['source'], string>>;

function endText({ config, events }: TrustedIssuer, claims: Claims, nowMs: number): string {
  const origin = events?.originOf(claims);
  if (origin === undefined) return 'its session, user, tenant or key was revoked';
  const { source, event, jti, atMs } = origin;
  const by = `${sourceNames[source]} of ${config.name ?? config.issuer}, ${agoText(nowMs - atMs)}`;
  return `the event ${printable(event)} by ${by} (received ${new Date(atMs).toISOString()}, id ${printable(jti)})`;
}

/** Such as `4 s ago`. */
function agoText(ms: number): string {
  const sec = Math.max(0, Math.round(ms / 1000));
  if (sec < 120) return `${sec} s ago`;
  return sec < 7_200 ? `${Math.round(sec / 60)} min ago` : `${Math.round(sec / 3_600)} h ago`;
}

/** Removes duplicates: one claim can fail two checks with equal texts. */
const once = (findings: readonly Finding[]): readonly Finding[] => [
  ...new Map(findings.map((finding) => [`${finding.code} ${finding.claim}`, finding])).values(),
];

function withAdvice(finding: Finding, { provider, claims }: Issuer, payload: UnverifiedJwt['payload']): Finding {
  const dotted = dottedPath(finding, payload);
  if (dotted !== undefined)
    return { ...finding, fix: `the dot is read as part of the name: write the path as ${dotted}` };
  // Providers' advice covers only role and tenant claims.
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

/** Returns the path that a dotted name would be, if that path leads to a value. */
function dottedPath({ claim, found }: Finding, payload: UnverifiedJwt['payload']): string | undefined {
  if (found !== 'nothing' || !claim.includes('.') || claim.includes('://')) return undefined;
  const path = claim.split('.');
  return typeof readPath(payload, path) === 'string' ? undefined : pathText(path);
}

async function signatureFindings(
  text: string,
  { header, payload }: UnverifiedJwt,
  { trusted, why, close }: OpenedIssuer,
): Promise<readonly Finding[]> {
  const { keys, config: issuer } = trusted;
  const kid = String(header.kid);
  try {
    const { key } = await verifySignature(text, { alg: String(header.alg), kid }, keys, issuer.issuer);
    return keyIssuerFinding(keyIssuer(key), String(payload.iss), issuer);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [signatureFinding(error.code as Code, issuer, kid, why)];
  } finally {
    close();
  }
}

function signatureFinding(code: Code, { shownJwks }: Issuer, kid: string, why: () => string): Finding {
  if (code === 'token_key_unknown') {
    const fix =
      "compare the kid with the issuer's key set: the token may come from another issuer, or the issuer may have removed its key";
    return finding(code, 'header kid', `a key at ${shownJwks}`, described(kid), fix);
  }
  if (code === 'issuer_keys_unavailable') {
    const fix = 'check that this machine can reach the URL, or skip the signature with --offline';
    return finding(code, 'keys', `the keys at ${shownJwks}`, why(), fix);
  }
  const fix =
    'the token was changed, truncated or signed by someone else, or the key was replaced under the same kid: get a new token';
  return finding(code, 'signature', 'a valid signature', 'an invalid one', fix);
}

function whyUnreadable(text: string, { code, detail }: AppError): string {
  if (code === 'token_too_large') return 'it is longer than 8192 characters';
  const parts = text.split('.').length;
  if (parts === 1)
    return `it is not a JWT but an opaque token, which only its issuer can read: see ${docsPage('opaque-tokens.md')}`;
  if (parts === 5) return 'it is encrypted (JWE), so only its issuer can read it';
  return `it is not a JWT: ${String(detail?.reason ?? 'malformed')}`;
}
