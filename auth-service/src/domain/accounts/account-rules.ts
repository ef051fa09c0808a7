/** Lifetimes of mailed links in seconds, counted from sending, so that a delayed mail still works when it arrives. */
export const verificationLifetimeSec = 24 * 3600;
export const resetLifetimeSec = 3600;
/** A registration that is not confirmed by then is deleted. */
export const registrationLifetimeSec = 7 * 24 * 3600;
export const invitationLifetimeSec = 7 * 24 * 3600;

export type RegistrationMode = 'off' | 'invite' | 'open';

/** The role that may invite, and change other members of its tenant. */
export const adminRole = 'admin';
