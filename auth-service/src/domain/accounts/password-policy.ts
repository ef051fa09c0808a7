import { createHash } from 'node:crypto';
import { commonPasswordHashes } from './common-passwords.ts';

/** Minimum length of a password, in characters. */
export const minPasswordLength = 12;

const hashBytes = 5;
const common = Buffer.from(commonPasswordHashes, 'base64');

/**
 * Returns why a password is not acceptable. The policy checks length and easy guesses, not character classes.
 *
 * @param email Whose password it is to be, canonical.
 * @returns undefined for a good one.
 * @see NIST SP 800-63B section 5.1.1.2
 */
export function passwordProblem(password: string, email: string): string | undefined {
  // Normalize as for hashing: a different Unicode spelling is the same password, with the same length.
  const hashed = password.normalize('NFKC');
  if ([...hashed].length < minPasswordLength) return `must have ${minPasswordLength} characters or more`;
  const folded = hashed.toLowerCase();
  if (isCommon(folded) || isCommon(withoutEnd(folded))) return 'is one of the most used passwords';
  if (repeats(folded) || runs(folded)) return 'is too regular';
  const [local = ''] = email.split('@');
  if (folded === email || (folded.includes(local) && local.length * 2 > folded.length))
    return 'is too close to the e-mail';
  return undefined;
}

/** `letmein12345!!` is no better than `letmein12345`. */
const withoutEnd = (password: string): string => password.replace(/[^a-z0-9]+$/, '');

/** Binary search among the sorted prefixes. */
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

/** The same few characters again and again: `abcabcabcabc`. */
const repeats = (password: string): boolean => /^(.{1,4})\1+.{0,3}$/su.test(password);

const rows = ['abcdefghijklmnopqrstuvwxyz', '01234567890123456789', 'qwertyuiopasdfghjklzxcvbnm'];

/** A stretch of the alphabet, the digits or the keyboard, in either direction. */
function runs(password: string): boolean {
  const backwards = [...password].reverse().join('');
  return rows.some((row) => row.includes(password) || row.includes(backwards));
}
