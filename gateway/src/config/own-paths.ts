import { foldPath } from './path-pattern.ts';

/** The path of the key set for services and operators, on the internal and the admin listener. */
export const keySetPath = '/.well-known/jwks.json';

/** The path of the key set for identity tokens, on the same listeners. */
export const tokenKeySetPath = '/.well-known/identity-token-jwks.json';

/** The path of an upstream's discovery document, which names the key set of its identity tokens. */
export const discoveryPathOf = (upstream: string): string => `/${upstream}/.well-known/openid-configuration`;

/** Patterns that the gateway reserves, by listener. No configured route covers them, not even `/**`. */
export const ownPatterns = {
  public: ['/.well-known/countersign/**'],
  internal: [keySetPath, tokenKeySetPath],
} as const;

/** OAuth 2.0 protected resource metadata (RFC 9728). A configured route may replace it. */
export const resourceMetadataPath = '/.well-known/oauth-protected-resource';

const answered = ['/healthz', '/readyz', '/metrics', `${resourceMetadataPath}/**`].map(compile);
const own = { public: ownPatterns.public.map(compile), internal: ownPatterns.internal.map(compile) };
const answeredOn = { public: [...answered, ...own.public], internal: [...answered, ...own.internal] };

function compile(pattern: string) {
  const prefix = pattern.replace(/\/\*\*$/, '');
  const isOpen = prefix !== pattern;
  const covers = (path: string) => path === prefix || (isOpen && path.startsWith(`${prefix}/`));
  return { isOpen, covers, folded: foldPath(prefix) };
}

/** Whether the literal segments that a path or pattern begins with are reserved for the gateway. */
export const isOwnPath = (listener: keyof typeof ownPatterns, path: string): boolean =>
  own[listener].some(({ covers }) => covers(path));

/**
 * Whether a tolerant router reads a path as one that the gateway answers itself, or that services answer to everyone,
 * such as `/healthz`, although its bytes differ.
 *
 * @param folded The path's segments, folded.
 */
export function isOtherSpelling(listener: keyof typeof ownPatterns, path: string, folded: readonly string[]): boolean {
  return answeredOn[listener].some(
    ({ isOpen, covers, folded: prefix }) =>
      (isOpen || folded.length === prefix.length) &&
      prefix.every((segment, index) => segment === folded[index]) &&
      !covers(path),
  );
}
