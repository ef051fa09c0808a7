/** The path of the key set for services and operators, on the internal and the admin listener. */
export const keySetPath = '/.well-known/jwks.json';

/** Patterns that the gateway reserves, by listener. No configured route covers them, not even `/**`. */
export const ownPatterns = {
  public: ['/.well-known/countersign/**'],
  internal: [keySetPath],
} as const;

/** Whether the literal segments that a path or pattern begins with are reserved for the gateway. */
export function isOwnPath(listener: keyof typeof ownPatterns, path: string): boolean {
  return ownPatterns[listener].some((pattern) => {
    const prefix = pattern.replace(/\/\*\*$/, '');
    return path === prefix || (prefix !== pattern && path.startsWith(`${prefix}/`));
  });
}
