/** The odd primes that divide M, a constant in the library's primes, for every key size. */
const primes = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
  127, 131, 137, 139, 149, 151, 157, 163, 167,
];
const generator = 65_537;

/** For each prime, the remainders that a vulnerable modulus can have: powers of 65537. */
const residues: ReadonlyMap<bigint, ReadonlySet<bigint>> = new Map(
  primes.map((prime) => [BigInt(prime), powersOf(generator, prime)]),
);

/**
 * Whether an RSA modulus comes from the Infineon library with factorable keys (CVE-2017-15361, "ROCA"). That library's
 * primes are `k * M + (65537^a mod M)`, so the modulus is a power of 65537 modulo every small prime. At most one in
 * 10^8 other moduli matches too.
 *
 * @param modulus In big-endian order.
 * @see Nemec et al., The Return of Coppersmith's Attack, CCS 2017, section 3
 */
export function isRocaModulus(modulus: Uint8Array): boolean {
  const n = BigInt(`0x${Buffer.from(modulus).toString('hex') || '0'}`);
  for (const [prime, powers] of residues) {
    if (!powers.has(n % prime)) return false;
  }
  return true;
}

function powersOf(base: number, modulo: number): ReadonlySet<bigint> {
  const powers = new Set<bigint>();
  for (let power = 1; !powers.has(BigInt(power)); power = (power * base) % modulo) powers.add(BigInt(power));
  return powers;
}
