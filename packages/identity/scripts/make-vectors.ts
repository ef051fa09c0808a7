import { writeFile } from 'node:fs/promises';
import { makeAgreedVectors } from '../test/agreed-vectors.ts';
import { makeIdentityTokenVectors } from '../test/identity-token-vectors.ts';
import { makeNestedVectors } from '../test/nested-vectors.ts';
import { makeVectors } from '../test/vectors.ts';

await writeFile(new URL('../vectors.json', import.meta.url), await makeVectors());
await writeFile(new URL('../agreed-vectors.json', import.meta.url), await makeAgreedVectors());
await writeFile(new URL('../nested-vectors.json', import.meta.url), makeNestedVectors());
await writeFile(new URL('../identity-token-vectors.json', import.meta.url), makeIdentityTokenVectors());
