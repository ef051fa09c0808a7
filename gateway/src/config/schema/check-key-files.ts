import { resolve } from 'node:path';
import { whyNoIssuerKeys } from '../issuer-key-file.ts';
import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';
import { isFetched } from './url-scalars.ts';

/** Issuers whose keys are in a file that cannot be used, or that is not there, which is also what a URL without its scheme is taken for. */
export function checkKeyFiles({ issuers }: Parts, directory: string): readonly Finding[] {
  return issuers.flatMap(({ jwks, algorithms }, index) => {
    // Algorithms that are not well-formed are a problem of their own.
    if (jwks === undefined || algorithms === undefined || isFetched(jwks)) return [];
    const why = whyNoIssuerKeys(resolve(directory, jwks), algorithms);
    if (why === undefined) return [];
    return [
      { path: ['issuers', index, 'jwks'], message: `is a file that ${why}; a URL begins with http:// or https://` },
    ];
  });
}
