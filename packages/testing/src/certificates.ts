import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate and its key in PEM. */
export type CertificateAndKey = Readonly<{ cert: string; key: string }>;

export type TestAuthority = ReturnType<typeof testAuthority>;

const anHour = 60 * 60 * 1000;

/** Creates a certificate authority for one test, so that the repository holds no keys and certificates. */
export function testAuthority(issuer = 'test authority', authorityMs = anHour) {
  const { publicKey, privateKey: signer } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    /** The authority's certificate in PEM. */
    ca: certificate({ issuer, subject: issuer, publicKey, signer, names: [], validMs: authorityMs }),
    /**
     * @param names Host names and IPv4 addresses. The first is the subject.
     * @param validMs Starts a minute ago.
     */
    issue(names: readonly string[], validMs = anHour): CertificateAndKey {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const subject = names[0] ?? 'unnamed';
      return {
        cert: certificate({ issuer, subject, publicKey, signer, names, validMs }),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

type Wanted = Readonly<{
  issuer: string;
  subject: string;
  publicKey: KeyObject;
  signer: KeyObject;
  /** Empty for the authority itself. */
  names: readonly string[];
  validMs: number;
}>;

/** Encodes the minimum of RFC 5280 that OpenSSL accepts. */
function certificate({ issuer, subject, publicKey, signer, names, validMs }: Wanted): string {
  const algorithm = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)); // ecdsa-with-SHA256
  const from = Date.now() - 60_000;
  const body = sequence(
    element(0xa0, element(0x02, Buffer.from([2]))), // version 3
    element(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])), // a positive serial number
    algorithm,
    nameOf(issuer),
    sequence(time(from), time(from + validMs)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(names.length === 0 ? authorityExtension : alternativeNames(names))),
  );
  const signature = element(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, signer)]));
  const base64 = sequence(body, algorithm, signature).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`;
}

function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => element(0x30, Buffer.concat(parts));
const oid = (...bytes: readonly number[]): Buffer => element(0x06, Buffer.from(bytes));
const isTrue = element(0x01, Buffer.from([0xff]));

const nameOf = (text: string): Buffer =>
  sequence(element(0x31, sequence(oid(0x55, 0x04, 0x03), element(0x0c, Buffer.from(text)))));

const time = (ms: number): Buffer =>
  element(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));

// basicConstraints, critical: this is an authority
const authorityExtension = sequence(oid(0x55, 0x1d, 0x13), isTrue, element(0x04, sequence(isTrue)));

const alternativeNames = (names: readonly string[]): Buffer =>
  sequence(
    oid(0x55, 0x1d, 0x11),
    element(
      0x04,
      sequence(
        ...names.map((name) =>
          isIP(name) === 4 ? element(0x87, Buffer.from(name.split('.').map(Number))) : element(0x82, Buffer.from(name)),
        ),
      ),
    ),
  );
