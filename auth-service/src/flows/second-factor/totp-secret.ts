import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { seal, unseal } from '../../domain/keys/sealing.ts';
import type { SealedTotp } from '../../store/second-factor/totp-secrets.ts';

export const sealSecret = (secret: Uint8Array, userId: string, keks: KeyRing) => ({
  sealedSecret: seal(keks.current.bytes, secret, contextOf(userId)),
  kekId: keks.current.id,
});

/** @throws Error when it does not open, which is a fault of ours: nobody is told that a right code is wrong. */
export function openSecret({ userId, sealedSecret, kekId }: SealedTotp, keks: KeyRing): Buffer {
  const kek = keks.find(kekId);
  const secret = kek && unseal(kek, sealedSecret, contextOf(userId));
  if (secret === undefined) throw new Error(`a TOTP secret does not open under the key "${kekId}"`);
  return secret;
}

export const resealSecret = (sealed: SealedTotp, keks: KeyRing) =>
  sealSecret(openSecret(sealed, keks), sealed.userId, keks);

/** Bound in, so that one person's secret does not open as another's. */
const contextOf = (userId: string): string => `totp ${userId}`;
