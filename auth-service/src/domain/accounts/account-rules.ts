/** How long what is mailed works, in seconds; counted from when it is sent, so that a late mail is not dead on arrival. */
export const verificationLifetimeSec = 24 * 3600;
export const resetLifetimeSec = 3600;
/** A registration that is not confirmed by then is deleted. */
export const registrationLifetimeSec = 7 * 24 * 3600;
export const invitationLifetimeSec = 7 * 24 * 3600;

/** Who may make an account: nobody, whoever was invited, or everybody. */
export type RegistrationMode = 'off' | 'invite' | 'open';

/** The role that may invite, and change other members of its tenant. */
export const adminRole = 'admin';
