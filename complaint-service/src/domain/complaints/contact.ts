/** How the complainant wants to be contacted about their complaint. */
export const contactPreferences = ['email', 'phone', 'none'] as const;
export type ContactPreference = (typeof contactPreferences)[number];
