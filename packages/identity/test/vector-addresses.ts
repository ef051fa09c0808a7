import { type Refused, type VectorCase, withContext } from './vector-parts.ts';

const context = (address: string) => `ip="${address}"`;

/** Text forms of RFC 4291 section 2.2. */
export const addressAccepted: readonly VectorCase[] = [
  '::',
  '2001:DB8::A',
  '::0001',
  '0000:0000:0000:0000:0000:0000:0000:0001',
  '1:2:3:4:5:6:7::',
  '::2:3:4:5:6:7:8',
  '1:2:3:4:5:6:192.0.2.7',
  '1:2:3:4:5::192.0.2.7',
  '64:ff9b::192.0.2.33',
  '::FFFF:c000:0207',
  '0.0.0.0',
  '255.255.255.255',
].map((address) => ({ name: `context with the address ${address}`, message: withContext(context(address)) }));

/** Texts that some parsers accept as an address. */
export const addressRefused: Refused = {
  header_malformed: Object.fromEntries(
    [
      '',
      '192.0.2',
      '192.0.2.7.1',
      '192.0.2.7.',
      '192.0.2.7:80',
      '192.0.2.7/32',
      '0192.0.2.7',
      '00.0.0.0',
      '3221225991',
      '0x7f.0.0.1',
      '::ffff:192.0.02.7',
      '::ffff:00.0.0.1',
      '::ffff:192.0.2',
      '::ffff:192.0.2.256',
      '::ffff:192.0.2.7.1',
      '::192.0.2.7:1',
      '1:2:3:4:5:6:7:192.0.2.7',
      '1:2:3:4:5:6::192.0.2.7',
      '1:2:3:4::5:6:7:8',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '::00001',
      '::g',
      ':::',
      ':1::2',
      '1::2:',
      '2001:db8::7/64',
      'localhost',
    ].map((address) => [context(address), withContext(context(address))]),
  ),
};
