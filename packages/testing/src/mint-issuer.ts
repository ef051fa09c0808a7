import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose';

export type TestIssuer = Awaited<ReturnType<typeof mintIssuer>>;

export type IssuerOptions = Readonly<{
  issuer?: string;
  audience?: string;
  kid?: string;
  alg?: string;
  nowMs?: () => number;
}>;

/** Creates an issuer with its own key. It signs real tokens and has a key set to serve. */
export async function mintIssuer(options: IssuerOptions = {}) {
  const {
    issuer = 'http://issuer.test',
    audience = 'complaints-api',
    kid = `test-${randomUUID()}`,
    alg = 'ES256',
    nowMs = Date.now,
  } = options;
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' };
  /** Signs any claims with any header, even tokens that must be refused. */
  const sign = (claims: JWTPayload, header?: Partial<JWTHeaderParameters>): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg, typ: 'at+jwt', kid, ...header }).sign(privateKey);
  return {
    issuer,
    kid,
    jwks: { keys: [jwk] },
    privateKey,
    sign,
    /** Creates an access token like the auth-service. Any claim can be replaced, or removed with `undefined`. */
    accessToken(claims: Record<string, unknown> = {}, header: Partial<JWTHeaderParameters> = {}) {
      const nowSec = Math.floor(nowMs() / 1000);
      const userId = typeof claims.user_id === 'string' ? claims.user_id : '01890a5d-ac96-774b-bcce-b302099a8057';
      const whole: Record<string, unknown> = {
        iss: issuer,
        aud: audience,
        sub: userId,
        user_id: userId,
        tenant_id: '01890a5d-ac96-774b-bcce-b302099a8001',
        role: 'agent',
        sid: randomUUID(),
        client_id: 'web',
        jti: randomUUID(),
        iat: nowSec,
        exp: nowSec + 900,
        auth_time: nowSec,
        amr: ['pwd'],
        ...claims,
      };
      return sign(Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined)), header);
    },
  };
}
