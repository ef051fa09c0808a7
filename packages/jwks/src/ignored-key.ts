import type { JwkRefusal } from './import-jwk.ts';

type IgnoredReason = JwkRefusal | 'kid_missing' | 'kid_duplicate';

/** An entry of a key set that cannot be used, and why. */
export type IgnoredKey = Readonly<{ kid: string | undefined; reason: IgnoredReason }>;
