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
import { audience, type Message, nowSec } from './forge.ts';
import { jwks, secrets } from './key-set.ts';

/** Public keys and secrets together, as in a service that migrates between them. */
export const bothKeys: GatewayKeys = combineKeys(
  jwks,
  staticGatewayKeys(jwks),
  secretGatewayKeys(secrets.map((secret) => ({ secret }))),
);

/**
 * Combines a key set and secrets. A secret whose keyid an entry of the key set has, usable or not, is not used, nor is that
 * entry: the signature would otherwise choose the algorithm.
 */
export function combineKeys(
  { keys }: Readonly<{ keys: readonly unknown[] }>,
  keySet: GatewayKeys,
  ofSecrets: GatewayKeys,
): GatewayKeys {
  const kids = new Set(keys.map((entry) => (entry as { kid?: unknown }).kid));
  return {
    async lookup(keyid) {
      const secret = await ofSecrets.lookup(keyid);
      if (secret === undefined) return keySet.lookup(keyid);
      return kids.has(keyid) ? undefined : secret;
    },
    lookupAgreementKey: (kid) => keySet.lookupAgreementKey?.(kid),
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

/** Resolves to the reason of the refusal, or to `accepted`. */
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

/** Converts an identity to the snake_case form of vectors.json. */
export function toSnake(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toSnake);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as Identity);
  return Object.fromEntries(
    entries.map(([key, inner]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), toSnake(inner)]),
  );
}
