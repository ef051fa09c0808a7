import { writeFile } from 'node:fs/promises';
import { makeVectors } from '../test/vectors.ts';

await writeFile(new URL('../vectors.json', import.meta.url), await makeVectors());
