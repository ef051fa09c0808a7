import { readFileSync } from 'node:fs';
import { createLogger } from '@countersign/service-kit';
import type { GatewayConfig, Issuer } from '../config/config.ts';
import type { TokenReport } from '../explain/token-report.ts';
import { UsageError } from './command.ts';

const maxBytes = 64 * 1024;

/** Reads a token from a file, or from standard input for `-`. Accepts a header value and the JSON of a token endpoint too. */
export function readToken(file: string): string {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8')
      .slice(0, maxBytes)
      .trim();
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    // A token in place of the file must not appear in an error.
    const name = /eyJ[\w-]*\.[\w-]*\./.test(file)
      ? 'a token on the command line is visible to every user: use a file, or -'
      : file;
    throw new UsageError(`the token cannot be read (${code}): ${name}`);
  }
  if (text === '') throw new UsageError('there is no token: the input is empty');
  return accessTokenIn(text)
    .replace(/^(?:authorization:\s*)?(?:bearer|dpop)\s+/i, '')
    .replace(/^"(.*)"$/, '$1');
}

function accessTokenIn(text: string): string {
  if (!text.startsWith('{')) return text;
  try {
    const { access_token: token } = JSON.parse(text) as { access_token?: unknown };
    return typeof token === 'string' ? token : text;
  } catch {
    return text;
  }
}

/** Reports a token with the keys of its issuer. Nothing is fetched with `isOffline`. */
export async function reportFor(
  config: GatewayConfig,
  token: string,
  options: Readonly<{ isOffline: boolean; nowMs: number }>,
): Promise<TokenReport> {
  // Imported here, so that the other commands start faster.
  const { reportToken } = await import('../explain/token-report.ts');
  const { openIssuerKeys } = await import('../keys/issuer-keys.ts');
  const openKeys = (issuer: Issuer) => {
    let why = 'no answer';
    const write = (line: string) => {
      const { reason = why, detail } = JSON.parse(line) as { reason?: string; detail?: string };
      why = detail === undefined ? reason : `${reason}: ${detail}`;
    };
    return { keys: openIssuerKeys(issuer, createLogger('token', 'warn', { write })), why: () => why };
  };
  return reportToken(config, token, { nowMs: options.nowMs, openKeys: options.isOffline ? undefined : openKeys });
}
