import { secretKeyid } from '../contract/rfc9421.ts';

/**
 * Public keys, key ids and keyids of secrets whose private halves are public: those of our test vectors, RFC 6979, RFC
 * 7515, RFC 8032, RFC 8037, RFC 7748 and RFC 9421 appendix B. vectors.json lists them under `published`, and a test compares both.
 */
export const publishedKeys: Readonly<Record<'x' | 'secret_keyids' | 'kids', readonly string[]>> = {
  x: [
    '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    'PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw',
    'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs',
    'hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo',
    'U9bVwaoNbrLMB2bPbpf6JVom4BMWhOBFYPyEUEHNKRI',
    '3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08',
    'xE4XCiQL0mEBg93-U9M0c9DxpZunBQtdwZMBkIO3B1s',
    '-Rb4tPQ9C4JnWDHqY-yZg9vIKLdeEzNpKkSmaYJxGy4',
    'gTxSeAERRhcJhyVUsIwkMPR6Fp0vQseLBM7sgeETPSw',
    'YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y',
    'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUZo',
    'PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zow',
    'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0Ts',
  ],
  secret_keyids: [
    'gApfGpn1ROtQ5gov1mSutM',
    '_m6PbcqDvc2TLRHfP_UnuT',
    'lA0knehIId096pQAspBmpX',
    'u8eLw9SOHenbE9hjq4FTBY',
    '3PPNkOWE4K6DRrrWwZkMsI',
    'ddZH86t36liT6mwRuiFs2m',
  ],
  kids: [
    'ed-1',
    'ed-twice',
    'only-required-members',
    'alg-of-rfc-9864',
    'key-ops-verify',
    'key-ops-sign-and-verify',
    'other-members',
    'k'.repeat(128),
    'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@|-',
    'vectors-complaint-1',
    'vectors-users-1',
    'test-key-rsa',
    'test-key-rsa-pss',
    'test-key-ecc-p256',
    'test-key-ed25519',
    'test-shared-secret',
    'vectors-token-1',
    'vectors-token-2',
  ],
};

const published: ReadonlySet<unknown> = new Set(Object.values(publishedKeys).flat());
let areAllowed = false;

/** Used in tests against the vectors. No entry point exports it. */
export function allowPublishedKeys(): void {
  areAllowed = true;
}

/** Whether the private half of this key has been published, or its id is that of a published key. */
export const isPublishedKey = ({ kid, x }: Readonly<{ kid?: unknown; x?: unknown }>): boolean =>
  !areAllowed && (published.has(kid) || published.has(x));

/** Whether this secret has been published. */
export const isPublishedSecret = (secret: Uint8Array): boolean => isPublishedKey({ kid: secretKeyid(secret) });
