import { secretKeyid } from '../src/index.ts';
import { gatewayJwks, serviceJwks, strangeGateway, strangeService } from './agreed-forge.ts';
import { ed25519Jwk } from './forge.ts';
import { callingServices, secondJwk, secrets, usableEntries } from './key-set.ts';
import { tokenJwks } from './token-forge.ts';

/** RFC 9421 appendix B.1: an ed25519 key, a shared secret, and all ids. */
const rfc9421 = {
  x: 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs',
  secret: 'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDA==',
  kids: ['test-key-rsa', 'test-key-rsa-pss', 'test-key-ecc-p256', 'test-key-ed25519', 'test-shared-secret'],
};

/** The other point with this y: its private half is the negative of the published one. */
function negated(x: string): string {
  const bytes = Buffer.from(x, 'base64url');
  bytes.writeUInt8(bytes.readUInt8(31) ^ 0x80, 31);
  return bytes.toString('base64url');
}

/** The keys and ids that no verifier may use outside of tests against the vectors. */
export const publishedIn = () => ({
  x: [
    ...[
      ed25519Jwk,
      secondJwk,
      rfc9421,
      ...gatewayJwks,
      ...serviceJwks,
      strangeGateway,
      strangeService,
      ...tokenJwks,
    ].map(({ x }) => x),
    ...[ed25519Jwk, secondJwk, rfc9421].map(({ x }) => negated(x)),
  ],
  // In base64 too, because a configuration contains text.
  secret_keyids: [...secrets, Buffer.from(rfc9421.secret, 'base64'), Buffer.from(rfc9421.secret)].map(secretKeyid),
  kids: [
    'ed-1',
    'ed-twice',
    ...Object.keys(usableEntries),
    ...callingServices.map(({ jwk }) => jwk.kid),
    ...rfc9421.kids,
    ...tokenJwks.map(({ kid }) => kid),
  ],
});
