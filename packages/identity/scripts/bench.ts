import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import {
  agreeAsGateway,
  agreementKeyFromJwk,
  createVerifier,
  memoryReplay,
  newAgreementJwk,
  newNonce,
  newRequestId,
  prepareIdentity,
  publicAgreementJwk,
  type ReplayStore,
  type SigningKey,
  secretGatewayKeys,
  secretKeyid,
  signRequest,
  staticGatewayKeys,
} from '../src/index.ts';

/** Microseconds per call: the best of five rounds, because other load on the machine can only add time. */
async function measure(call: () => unknown, calls: number): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round += 1) {
    const started = process.hrtime.bigint();
    for (let n = 0; n < calls; n += 1) await call();
    best = Math.min(best, Number(process.hrtime.bigint() - started) / 1000 / calls);
  }
  return best;
}

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const secret = randomBytes(32);
const audience = 'complaint-service';
const gatewayPair = agreementKeyFromJwk(newAgreementJwk());
const serviceJwk = newAgreementJwk();
const service = { audience, key: agreementKeyFromJwk(serviceJwk) };
const jwks = {
  keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench-1', alg: 'EdDSA' }, publicAgreementJwk(gatewayPair)],
};
const algorithms = [
  {
    name: 'ed25519',
    key: { algorithm: 'ed25519', keyid: 'bench-1', privateKey } as SigningKey,
    keys: staticGatewayKeys(jwks),
  },
  {
    name: 'hmac-sha256',
    key: { algorithm: 'hmac-sha256', keyid: secretKeyid(secret), secret } as SigningKey,
    keys: secretGatewayKeys([{ secret }]),
  },
  {
    name: 'agreed',
    key: { algorithm: 'hmac-sha256', ...agreeAsGateway(gatewayPair, service) } as SigningKey,
    keys: staticGatewayKeys(jwks),
    agreement: { keys: [serviceJwk] },
  },
];

const prepared = prepareIdentity(
  {
    kind: 'user',
    userId: newRequestId(),
    role: 'agent',
    tenantId: newRequestId(),
    context: { iss: 'https://issuer.example', sid: newRequestId(), authTime: 1_800_000_000, amr: ['pwd'] },
  },
  audience,
);
const nowSec = Math.floor(Date.now() / 1000);
const signOnce = (key: SigningKey) =>
  signRequest(
    key,
    prepared,
    { method: 'GET', path: '/v1/complaints', query: '?status=open', requestId: newRequestId(), ip: '192.0.2.7' },
    { createdSec: nowSec, lifetimeSec: 30, nonce: newNonce() },
  );

// Accepts the same request repeatedly. The nonce memory is measured separately below.
const noReplay: ReplayStore = { claim: () => 'fresh' };
const lines: string[] = ['| | µs per call |', '|---|---:|'];
const report = (what: string, microseconds: number) => lines.push(`| ${what} | ${microseconds.toFixed(1)} |`);

for (const { name, key, keys, agreement } of algorithms) {
  const verifier = createVerifier({ audience, keys, replay: noReplay, ...(agreement && { agreement }) });
  const message = { method: 'GET', target: '/v1/complaints?status=open', rawHeaders: signOnce(key).flat() };
  report(`sign, ${name}`, await measure(() => signOnce(key), 5_000));
  report(`verify, ${name}`, await measure(() => verifier.verify(message), 3_000));
}
report('derive an agreed key, once a pair', await measure(() => agreeAsGateway(gatewayPair, service), 500));
const base = randomBytes(700);
const signature = sign(null, base, privateKey);
report('(Ed25519 signature alone, Node)', await measure(() => sign(null, base, privateKey), 5_000));
report('(Ed25519 verification alone, Node)', await measure(() => verify(null, base, publicKey, signature), 3_000));
const replay = memoryReplay({ nowMs: () => 0, maxNonces: 10_000_000 });
const claim = { audience, keyid: 'bench-1', createdSec: nowSec, keepUntilSec: nowSec + 35, nowSec };
report('claim a nonce in memory', await measure(() => replay.claim({ ...claim, nonce: newNonce() }), 50_000));

process.stdout.write(`${lines.join('\n')}\n`);
