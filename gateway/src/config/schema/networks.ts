import { BlockList, isIP } from 'node:net';
import type { Network } from '../config.ts';
import { parsedText } from './scalars.ts';

/** A network such as `10.0.0.0/8` or `fd00::/8`, or one address. */
export const network = parsedText(
  'network',
  'an address or a network, such as "10.0.0.0/8"; a network of all addresses would let every client choose its address',
  parseNetwork,
  /^[0-9A-Fa-f:.]+(\/\d{1,3})?$/,
).superRefine((given, context) => {
  const first = firstAddressOf(given);
  if (first === undefined) return;
  const message = `must be a network without the bits of a host: "${first}/${given.prefix}", or one address: "${given.address}"`;
  context.addIssue({ code: 'custom', message });
});

/** @returns The first address of a network, or undefined if it is the given one. */
function firstAddressOf({ address, prefix, family }: Network): string | undefined {
  const [bits, given] = family === 'ipv4' ? [32, bitsOfIPv4(address)] : [128, bitsOfIPv6(address)];
  const hostBits = BigInt(bits - prefix);
  const first = (given >> hostBits) << hostBits;
  if (first === given) return undefined;
  return family === 'ipv4' ? textOfIPv4(first) : textOfIPv6(first);
}

const bitsOfIPv4 = (address: string): bigint =>
  address.split('.').reduce((bits, octet) => (bits << 8n) | BigInt(octet), 0n);

const textOfIPv4 = (bits: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 255n).join('.');

function bitsOfIPv6(address: string): bigint {
  // URL normalizes it: no dotted end, and at most one `::`.
  const [front = '', back] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groupsOf = (text = '') => (text === '' ? [] : text.split(':'));
  const [before, after] = [groupsOf(front), groupsOf(back)];
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

function textOfIPv6(bits: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => ((bits >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function parseNetwork(text: string): Network | undefined {
  const [, ip = '', digits] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(ip);
  if (version === 0) return undefined;
  const longest = version === 4 ? 32 : 128;
  const prefix = digits === undefined ? longest : Number(digits);
  if (prefix < 1 || prefix > longest) return undefined;
  const asked: Network = { address: ip, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
  return isAllOfIPv4(asked) ? undefined : asked;
}

/** Whether a network contains `::ffff:0:0/96`, and so every IPv4 client. */
function isAllOfIPv4({ address, prefix, family }: Network): boolean {
  const network = new BlockList();
  network.addSubnet(address, prefix, family);
  return network.check('0.0.0.0', 'ipv4') && network.check('255.255.255.255', 'ipv4');
}
