export const tokenPath = '/v1/auth/token';
export const authorizationPath = '/v1/auth/authorize';

/** A public URL below the issuer, whether or not the issuer ends in a slash. */
export const publicUrl = (issuer: string, path: string): string => issuer.replace(/\/+$/, '') + path;

/** The values of `aud` that a client assertion may have (RFC 7523 section 3). */
export const assertionAudiences = (issuer: string): readonly string[] => [issuer, publicUrl(issuer, tokenPath)];
