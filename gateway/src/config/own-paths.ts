/** Path of the key set for services and operators, on the internal and the admin listener. */
export const keySetPath = '/.well-known/jwks.json';

/** Patterns that the gateway reserves for itself, by listener. No configured route covers them, not even `/**`. */
export const ownPatterns = {
  public: ['/.well-known/countersign/**'],
  internal: [keySetPath],
} as const;

/** Whether a path or a pattern begins with literal segments that the gateway keeps for itself. */
export function isOwnPath(listener: keyof typeof ownPatterns, path: string): boolean {
  return ownPatterns[listener].some((pattern) => {
    const prefix = pattern.replace(/\/\*\*$/, '');
    return path === prefix || (prefix !== pattern && path.startsWith(`${prefix}/`));
  });
}
