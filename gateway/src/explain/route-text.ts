import type { Limit, Route } from '../config/config.ts';

/** Formats a limit as `600 in 60 s by user`. */
export const limitText = ({ requests, perSec, by, onStoreFailure }: Limit): string =>
  `${requests} in ${perSec} s by ${by}${onStoreFailure === 'deny' ? '; 503 while Redis is unavailable' : ''}`;

/** Formats inherited keys as `auth, limits: from the group complaints (gateway.yaml:60:5)`. */
export const inheritedText = ({ group, keys, at }: Route['inherited'][number]): string =>
  `${keys.join(', ')}: from the group ${group} (${at})`;
