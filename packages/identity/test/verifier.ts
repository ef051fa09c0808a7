import {
  createVerifier,
  type GatewayKeys,
  type Identity,
  IdentityRefused,
  memoryReplay,
  secretGatewayKeys,
  staticGatewayKeys,
  type Verifier,
  type VerifierOptions,
} from '../src/index.ts';
import { audience, jwks, type Message, nowSec, secret } from './forge.ts';

const ed = staticGatewayKeys(jwks);
const hmac = secretGatewayKeys([{ secret }]);
/** Both keys, as a service that is moving from one to the other would have them. */
export const bothKeys: GatewayKeys = { lookup: async (keyid) => (await ed.lookup(keyid)) ?? hmac.lookup(keyid) };

export function verifierAt(atSec: number = nowSec, options: Partial<VerifierOptions> = {}): Verifier {
  return createVerifier({
    audience,
    keys: bothKeys,
    replay: memoryReplay({ nowMs: () => 0 }),
    nowMs: () => atSec * 1000,
    ...options,
  });
}

export function deliver(verifier: Verifier, message: Message, options: { stream?: boolean } = {}): Promise<Identity> {
  const { method, target, headers, body } = message;
  return verifier.verify({ method, target, rawHeaders: headers.flat(), body, ...options });
}

/** The reason for which a message is refused, or `accepted`. */
export async function verdictOn(
  message: Message,
  verifier: Verifier = verifierAt(),
  options: { stream?: boolean } = {},
): Promise<string> {
  try {
    await deliver(verifier, message, options);
    return 'accepted';
  } catch (error) {
    if (error instanceof IdentityRefused) return error.reason;
    throw error;
  }
}
