export const tokenPath = '/v1/auth/token';
export const authorizationPath = '/v1/auth/authorize';

/** Appends a path to the issuer, which may end in a slash. */
export const publicUrl = (issuer: string, path: string): string => issuer.replace(/\/+$/, '') + path;

/** Values that a client assertion may have in `aud` (RFC 7523 section 3). */
export const assertionAudiences = (issuer: string): readonly string[] => [issuer, publicUrl(issuer, tokenPath)];
