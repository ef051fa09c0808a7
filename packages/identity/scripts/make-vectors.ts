import { writeFile } from 'node:fs/promises';
import { makeAgreedVectors } from '../test/agreed-vectors.ts';
import { makeNestedVectors } from '../test/nested-vectors.ts';
import { makeVectors } from '../test/vectors.ts';

await writeFile(new URL('../vectors.json', import.meta.url), await makeVectors());
await writeFile(new URL('../agreed-vectors.json', import.meta.url), await makeAgreedVectors());
await writeFile(new URL('../nested-vectors.json', import.meta.url), makeNestedVectors());
