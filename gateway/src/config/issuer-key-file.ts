import { KeySetUnavailable, staticKeySet } from '@countersign/jwks';
import { readNamedFile } from './files.ts';
import type { SigningAlgorithm } from './schema/issuers/issuer-values.ts';

/** @returns Why a file is not usable as an issuer's key set, without the path. Undefined if the file is usable. */
export function whyNoIssuerKeys(file: string, algorithms: readonly SigningAlgorithm[]): string | undefined {
  try {
    staticKeySet(JSON.parse(readNamedFile(file).toString()), { algorithms });
    return undefined;
  } catch (error) {
    return whyUnusable(error);
  }
}

export function whyUnusable(error: unknown): string {
  if (error instanceof KeySetUnavailable) return 'contains no key that this issuer may sign with';
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? 'is not a JWK set' : `cannot be read (${code})`;
}
