import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';

const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL ?? 'http://127.0.0.1:8090/.well-known/jwks.json' });
keys.start();

export const verifier = createVerifier({ audience: 'my-service', keys, replay: memoryReplay() });

/** An identity as the vectors write it: the same members, in snake_case. */
export const identityJson = (value) => {
  if (Array.isArray(value) || typeof value !== 'object') return value;
  const members = Object.entries(value).map(([name, inner]) => [snakeCase(name), identityJson(inner)]);
  return Object.fromEntries(members);
};

const snakeCase = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export const everyKind = ['user', 'client', 'service', 'anonymous', 'gateway'];
