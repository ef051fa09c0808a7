import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';
import { isFetched } from './url-scalars.ts';

/** Issuers whose keys are in a file that is not there, which is also what a URL without its scheme is taken for. */
export function checkKeyFiles({ issuers }: Parts, directory: string): readonly Finding[] {
  return issuers.flatMap(({ jwks }, index) => {
    if (jwks === undefined || isFetched(jwks)) return [];
    const code = whyUnreadable(resolve(directory, jwks));
    if (code === undefined) return [];
    return [
      {
        path: ['issuers', index, 'jwks'],
        message: `is a file that cannot be read (${code}); a URL begins with http:// or https://`,
      },
    ];
  });
}

function whyUnreadable(file: string): string | undefined {
  try {
    accessSync(file, constants.R_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'error';
  }
}
