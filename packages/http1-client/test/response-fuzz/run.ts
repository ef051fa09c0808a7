import { randomInt } from 'node:crypto';
import { compareParsers } from './compare-parsers.ts';

// `npm run fuzz`: compares the parser of the upstream client with node's. `SEED` repeats a run; `RESPONSES` sets its size.

const seed = Number(process.env.SEED ?? randomInt(2 ** 32));
const responses = Number(process.env.RESPONSES ?? 1_000_000);
process.stdout.write(`seed ${seed}, ${responses} responses\n`);
const { accepted, refusedByBoth, refusedByClient } = compareParsers(seed, responses);
process.stdout.write(
  `${accepted} read alike, ${refusedByBoth} refused by both, ${refusedByClient} only by the client\n`,
);
