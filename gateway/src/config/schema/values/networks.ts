import { BlockList, isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { parsedText } from './scalars.ts';

/** A network in the form that `net.BlockList.addSubnet` expects. */
export type Network = Readonly<{ address: string; prefix: number; family: 'ipv4' | 'ipv6' }>;

/** A network such as `10.0.0.0/8` or `fd00::/8`, or one address. */
export const network = parsedText(
  'network',
  'an address or a network, such as "10.0.0.0/8"; a network that contains all addresses would let every client fake its address',
  parseNetwork,
  /^[0-9A-Fa-f:.]+(\/\d{1,3})?$/,
).superRefine((given, context) => {
  const first = firstAddressOf(given);
  if (first === undefined) return;
  const message = `has host bits set: write the network "${first}/${given.prefix}", or one address: "${given.address}"`;
  context.addIssue({ code: 'custom', message });
});

/** @returns The network's first address. Undefined if that is the given address. */
function firstAddressOf({ address, prefix, family }: Network): string | undefined {
  const [bits, groups] = family === 'ipv4' ? [8, address.split('.').map(Number)] : [16, groupsOfIPv6(address)];
  const first = groups.map((group, index) => {
    const hostBits = bits - Math.min(Math.max(prefix - index * bits, 0), bits);
    return (group >> hostBits) << hostBits;
  });
  if (isDeepStrictEqual(first, groups)) return undefined;
  return family === 'ipv4' ? first.join('.') : normalizedIPv6(first.map((group) => group.toString(16)).join(':'));
}

function groupsOfIPv6(address: string): readonly number[] {
  const [before = [], after = []] = normalizedIPv6(address)
    .split('::')
    .map((groups) => groups.split(':').filter((group) => group !== ''));
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}

/** Writes an address as hexadecimal groups, without a dotted end and with at most one `::`. */
const normalizedIPv6 = (address: string): string => new URL(`http://[${address}]`).hostname.slice(1, -1);

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

/** Whether a network contains `::ffff:0:0/96`, which covers every IPv4 client. */
function isAllOfIPv4({ address, prefix, family }: Network): boolean {
  const network = new BlockList();
  network.addSubnet(address, prefix, family);
  return network.check('0.0.0.0', 'ipv4') && network.check('255.255.255.255', 'ipv4');
}
