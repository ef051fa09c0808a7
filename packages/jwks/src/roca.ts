/** The odd primes that divide M, a constant in the library's primes, for every key size. */
const primes = primesUpTo(167).slice(1);
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

function primesUpTo(last: number): number[] {
  const found: number[] = [];
  for (let number = 2; number <= last; number += 1) {
    if (found.every((prime) => number % prime !== 0)) found.push(number);
  }
  return found;
}
