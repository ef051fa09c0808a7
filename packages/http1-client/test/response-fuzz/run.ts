import { randomInt } from 'node:crypto';
import { compareParsers } from './compare-parsers.ts';

// `npm run fuzz` compares the upstream client's parser with Node's. `SEED` repeats a run, and `RESPONSES` sets its
// size.

const seed = Number(process.env.SEED ?? randomInt(2 ** 32));
const responses = Number(process.env.RESPONSES ?? 1_000_000);
process.stdout.write(`seed ${seed}, ${responses} responses\n`);
const { accepted, refusedByBoth, refusedByClient } = compareParsers(seed, responses);
process.stdout.write(
  `${accepted} read the same way, ${refusedByBoth} refused by both, ${refusedByClient} only by the upstream client\n`,
);
