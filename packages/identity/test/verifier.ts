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
import { ambiguousSecret, audience, jwks, type Message, nowSec, secret } from './forge.ts';

const ed = staticGatewayKeys(jwks);
const hmac = secretGatewayKeys([{ secret }, { secret: ambiguousSecret }]);
/** Public keys and secrets, as a service that moves from one to the other has them. */
export const bothKeys: GatewayKeys = onlyOnce(ed, hmac);

/** A keyid that both know is used by neither: the signature would choose the algorithm. */
export function onlyOnce(one: GatewayKeys, other: GatewayKeys): GatewayKeys {
  return {
    async lookup(keyid) {
      const [first, second] = [await one.lookup(keyid), await other.lookup(keyid)];
      return first !== undefined && second !== undefined ? undefined : (first ?? second);
    },
  };
}

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

/** An identity as it reads on the wire. */
export function toSnake(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toSnake);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as Identity);
  return Object.fromEntries(
    entries.map(([key, inner]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), toSnake(inner)]),
  );
}
