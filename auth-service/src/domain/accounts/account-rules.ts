/** How long emailed links work, in seconds after sending. */
export const verificationLifetimeSec = 24 * 3600;
export const resetLifetimeSec = 3600;
/** Unconfirmed registrations are deleted after this time. */
export const registrationLifetimeSec = 7 * 24 * 3600;
export const invitationLifetimeSec = 7 * 24 * 3600;

export type RegistrationMode = 'off' | 'invite' | 'open';

/** The role that can invite people and change other members of its tenant. */
export const adminRole = 'admin';

/** The spelling that is stored and looked up. Nothing is trimmed: different people's addresses stay different. */
export function canonicalEmail(given: string): string {
  return given.normalize('NFC').toLowerCase().normalize('NFC');
}
