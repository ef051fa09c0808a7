import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { agreementKeyFromJwk, newAgreementJwk } from './agreement-jwk.ts';
import type { DatedKey } from './agreement-schedule.ts';
import { whyNotPrivate } from './private-file.ts';

/** Numbered, so that only one of several concurrent instances can create the next key. */
const fileName = /^agreement-([1-9][0-9]{0,8})\.jwk\.json$/;

type Numbered = Readonly<{ number: number; path: string }>;

/**
 * Reads the keys of a directory, oldest first. A directory that does not exist holds none.
 *
 * @throws Error naming the file that is malformed or that others may read. The message reveals nothing about the key.
 */
export function readAgreementDirectory(directory: string): readonly DatedKey[] {
  return filesIn(directory).flatMap(({ path }) => readKeyFile(path) ?? []);
}

/**
 * Adds a key with mode 0600, unless another instance has just added one.
 *
 * @throws The system's error, such as EROFS or ENOSPC. No file remains then.
 */
export function addAgreementKey(directory: string, nowSec: number): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const number = (filesIn(directory).at(-1)?.number ?? 0) + 1;
  const text = `${JSON.stringify({ ...newAgreementJwk(), iat: nowSec }, null, 2)}\n`;
  const path = join(directory, `agreement-${number}.jwk.json`);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    const file = openSync(temporary, 'wx', 0o600);
    try {
      fchmodSync(file, 0o600);
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    // Fails if the file exists. A reader never sees a partly written file.
    linkSync(temporary, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Deletes the files of keys that are no longer accepted. */
export function removeAgreementKeys(directory: string, over: readonly DatedKey[]): void {
  const kids = new Set(over.map(({ kid }) => kid));
  for (const { path } of filesIn(directory)) {
    const key = readKeyFile(path);
    if (key !== undefined && kids.has(key.kid)) rmSync(path, { force: true });
  }
}

function filesIn(directory: string): readonly Numbered[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
  return names
    .flatMap((name) => {
      const number = fileName.exec(name)?.[1];
      return number === undefined ? [] : [{ number: Number(number), path: join(directory, name) }];
    })
    .sort((a, b) => a.number - b.number);
}

/** Undefined if another instance has just deleted it. */
function readKeyFile(path: string): DatedKey | undefined {
  let text: string;
  let open: string | undefined;
  try {
    open = whyNotPrivate(statSync(path));
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  if (open !== undefined) throw new Error(`${path}: ${open}`);
  try {
    const { iat, ...jwk } = JSON.parse(text);
    if (!Number.isSafeInteger(iat) || iat < 0) throw new RangeError('it has no iat in Unix seconds');
    return { ...agreementKeyFromJwk(jwk), createdSec: iat };
  } catch (error) {
    // The parser's message could quote the private key.
    const why = error instanceof RangeError ? error.message : 'it is not JSON';
    throw new Error(
      `${path}: is not a key for agreement (${why}). Restore it, or delete it to have a new key generated`,
    );
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;
