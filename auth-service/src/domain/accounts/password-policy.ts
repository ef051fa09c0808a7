import { createHash } from 'node:crypto';
import { AppError } from '../../errors.ts';
import { commonPasswordHashes } from './common-passwords.ts';

export const minPasswordLength = 12;

const hashBytes = 5;
const common = Buffer.from(commonPasswordHashes, 'base64');

/** Reasons to refuse a password, with the API's error messages. */
export const passwordWeaknesses = {
  short: `must have ${minPasswordLength} characters or more`,
  common: 'is one of the most common passwords',
  regular: 'is a simple pattern',
  email: 'is too similar to the email address',
} as const;

export type PasswordWeakness = keyof typeof passwordWeaknesses;

/**
 * Returns the reason to refuse a password, if any. The policy requires a length and refuses easy guesses, but has no
 * rules about character classes.
 *
 * @param email The canonical address of the password's owner.
 * @see NIST SP 800-63B section 5.1.1.2
 */
export function passwordWeakness(password: string, email: string): PasswordWeakness | undefined {
  // Normalizes as the hash does: a different Unicode spelling is the same password.
  const hashed = password.normalize('NFKC');
  if ([...hashed].length < minPasswordLength) return 'short';
  const folded = hashed.toLowerCase();
  if (isCommon(folded) || isCommon(withoutEnd(folded))) return 'common';
  if (repeats(folded) || runs(folded)) return 'regular';
  const [local = ''] = email.split('@');
  if (folded === email || (folded.includes(local) && local.length * 2 > folded.length)) return 'email';
  return undefined;
}

/** `letmein12345!!` is no stronger than `letmein12345`. */
const withoutEnd = (password: string): string => password.replace(/[^a-z0-9]+$/, '');

/** Searches the sorted hash prefixes. */
function isCommon(folded: string): boolean {
  const wanted = createHash('sha256').update(folded).digest().subarray(0, hashBytes);
  let [low, high] = [0, common.length / hashBytes];
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = wanted.compare(common, middle * hashBytes, (middle + 1) * hashBytes);
    if (order === 0) return true;
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return false;
}

/** Whether a few characters repeat, as in `abcabcabcabc`. */
const repeats = (password: string): boolean => /^(.{1,4})\1+.{0,3}$/su.test(password);

/** The alphabet, digits, and adjacent keys on QWERTY, QWERTZ and AZERTY keyboards, with and without shift. */
const rows = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890123456789',
  ...['1234567890-=', '!@#$%^&*()_+', 'qwertyuiop[]\\', 'qwertyuiop{}|', "asdfghjkl;'", 'asdfghjkl:"'],
  ...['zxcvbnm,./', 'zxcvbnm<>?', '1qaz', '2wsx', '3edc', '4rfv', '5tgb', '6yhn', '7ujm', '8ik,', '9ol.', '0p;/'],
  ...['1234567890ß', '!"§$%&/()=?', 'qwertzuiopü+', 'qwertzuiopü*', 'asdfghjklöä#', "asdfghjklöä'", '<yxcvbnm,.-'],
  ...['qwertzuiopè', 'asdfghjkléà$', '>yxcvbnm;:_', '&é"\'(-è_çà)=', '1234567890°+', 'azertyuiop^$'],
  ...['qsdfghjklmù*', 'qsdfghjklm%µ', '<wxcvbn,;:!', 'wxcvbn?./§'],
].map((row) => row.normalize('NFKC'));
const bothWays = [...rows, ...rows.map((row) => [...row].reverse().join(''))];

/** Maximum number of other characters, as in `qwertyuiop[]!1`, that do not make a password harder to guess. */
const looseCharacters = 3;

/** Whether a password is runs of three or more adjacent characters from {@link rows}, ignoring repetitions. */
function runs(password: string): boolean {
  const characters = [...password.replaceAll(/(.)\1+/gsu, '$1')];
  let loose = 0;
  for (let at = 0; at < characters.length && loose <= looseCharacters; ) {
    let length = 3;
    const isRun = () => bothWays.some((row) => row.includes(characters.slice(at, at + length).join('')));
    while (at + length <= characters.length && isRun()) length += 1;
    if (length === 3) loose += 1;
    at += length === 3 ? 1 : length - 1;
  }
  return loose <= looseCharacters;
}

/**
 * @param field The password's path in the request.
 * @throws AppError `validation_failed` if the password violates the policy, with the reason in `errors` and
 *   `detail.weakness`. Neither contains the password.
 */
export function assertGoodPassword(password: string, email: string, field = 'password'): void {
  const weakness = passwordWeakness(password, email);
  if (weakness === undefined) return;
  const errors = [{ path: field, message: passwordWeaknesses[weakness] }];
  throw new AppError('validation_failed', { errors, detail: { weakness } });
}
