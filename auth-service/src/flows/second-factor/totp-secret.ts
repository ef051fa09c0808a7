import type { KeyRing } from '../../domain/keys/key-ring.ts';
import { seal, unseal } from '../../domain/keys/sealing.ts';
import type { SealedTotp } from '../../store/second-factor/second-factors.ts';

export const sealSecret = (secret: Uint8Array, userId: string, keks: KeyRing) => ({
  sealedSecret: seal(keks.current.bytes, secret, contextOf(userId)),
  kekId: keks.current.id,
});

/** @throws Error if the secret cannot be decrypted. That is a server fault and must not look like a wrong code. */
export function openSecret({ userId, sealedSecret, kekId }: SealedTotp, keks: KeyRing): Buffer {
  const kek = keks.find(kekId);
  const secret = kek && unseal(kek, sealedSecret, contextOf(userId));
  if (secret === undefined) throw new Error(`a TOTP secret cannot be decrypted with the key "${kekId}"`);
  return secret;
}

export const resealSecret = (sealed: SealedTotp, keks: KeyRing) =>
  sealSecret(openSecret(sealed, keks), sealed.userId, keks);

/** Binds the secret to the person, so that it cannot be decrypted for another one. */
const contextOf = (userId: string): string => `totp ${userId}`;
