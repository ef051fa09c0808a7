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

/** Where the keys of a service are stored. */
export type KeySource = Readonly<{
  /** @returns The keys, oldest first. @throws Error naming a file that is malformed or that others may read. */
  read(): readonly DatedKey[];
  /** Adds a key, unless another instance has just added one. @throws The system's error. */
  add(): void;
  /** Deletes keys that are no longer accepted. */
  remove(over: readonly DatedKey[]): void;
}>;

/** Keys in a directory, with mode 0600. A directory that does not exist holds none. */
export const agreementDirectory = (directory: string, nowSec: () => number, audience?: string): KeySource => ({
  read: () => filesIn(directory).flatMap(({ path }) => readKeyFile(path, audience) ?? []),
  add: () => addKey(directory, nowSec(), audience),
  remove(over) {
    const kids = new Set(over.map(({ kid }) => kid));
    for (const { path } of filesIn(directory))
      if (kids.has(readKeyFile(path, audience)?.kid ?? '')) rmSync(path, { force: true });
  },
});

function addKey(directory: string, nowSec: number, audience: string | undefined): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const number = (filesIn(directory).at(-1)?.number ?? 0) + 1;
  const text = `${JSON.stringify({ ...newAgreementJwk(audience), iat: nowSec }, null, 2)}\n`;
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
function readKeyFile(path: string, audience: string | undefined): DatedKey | undefined {
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
    return { ...agreementKeyFromJwk(jwk, audience), createdSec: iat };
  } catch (error) {
    // The parser's message could quote the private key.
    const why = error instanceof RangeError ? error.message : 'it is not JSON';
    throw new Error(
      `${path}: is not a key for agreement (${why}). Restore it, or delete it to have a new key generated`,
    );
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;
