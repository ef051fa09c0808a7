import type { KeySet } from '@countersign/jwks';
import type { GatewayConfig, Issuer } from '../../config/config.ts';
import { AppError, type Code } from '../../errors.ts';
import { reportToken, type TokenReport } from '../../explain/token-report.ts';
import { assertUnrevoked, type TrustedIssuer } from '../../tokens/verified-tokens.ts';

/** Examines a token with the keys and the revocations that the gateway holds. */
export async function examineToken(
  text: string,
  config: GatewayConfig,
  issuers: ReadonlyMap<string, TrustedIssuer>,
  nowMs: number,
): Promise<TokenReport> {
  const token = text.trim().replace(/^(?:authorization:\s*)?(?:bearer|dpop)\s+/i, '');
  const openKeys = ({ issuer }: Issuer) => {
    const keys = issuers.get(issuer)?.keys;
    if (keys === undefined) throw new Error(`${issuer} is not trusted`);
    return { keys: borrowed(keys), why: () => keys.stats.failure?.reason ?? 'no answer' };
  };
  const report = await reportToken(config, token, { nowMs, openKeys });
  const refusal = revocationOf(report, issuers, nowMs);
  return refusal === undefined ? report : withRefusal(report, refusal);
}

/** The report stops the keys that it opened. These belong to the running gateway. */
const borrowed = (keys: KeySet): KeySet => ({
  generation: keys.generation,
  ready: keys.ready,
  stats: keys.stats,
  find: (kid, alg) => keys.find(kid, alg),
  lookup: (...key) => keys.lookup(...key),
  start() {},
  stop() {},
});

function revocationOf(
  { token, accepted }: TokenReport,
  issuers: ReadonlyMap<string, TrustedIssuer>,
  nowMs: number,
): Code | undefined {
  const issuer = accepted && issuers.get(accepted.issuer.issuer);
  if (issuer === undefined || accepted === undefined) return undefined;
  try {
    assertUnrevoked({ issuer, claims: accepted.claims, kid: String(token?.header.kid) }, nowMs);
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error.code as Code;
    throw error;
  }
}

function withRefusal(report: TokenReport, code: Code): TokenReport {
  const found = code === 'token_revoked' ? 'a revocation of its session, user, tenant or key' : 'none can be read now';
  const finding = {
    code,
    claim: 'revocation',
    wanted: 'no revocation in force',
    found,
    fix: code === 'token_revoked' ? 'log in again' : 'see the page on revocations',
  };
  const issuer = report.accepted?.issuer.issuer;
  return {
    ...report,
    accepted: undefined,
    issuers: report.issuers.map((one) =>
      one.issuer === issuer ? { ...one, identity: undefined, findings: [...one.findings, finding] } : one,
    ),
  };
}
