import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Vector = Readonly<{ id: number; message: Buffer; signature: string; result: string; comment: string }>;
export type KeyWithVectors = Readonly<{ jwk: Readonly<Record<string, string>>; vectors: readonly Vector[] }>;

/** @param algorithm A JOSE algorithm name that has a file here. */
export function readVectors(algorithm: string): readonly KeyWithVectors[] {
  const file = join(import.meta.dirname, `${algorithm.toLowerCase()}.jsonl`);
  const [, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  const keys: { jwk: Record<string, string>; vectors: Vector[] }[] = [];
  for (const line of lines.map((text) => JSON.parse(text) as unknown)) {
    if (Array.isArray(line)) keys.at(-1)?.vectors.push(vectorOf(line as VectorLine));
    else keys.push({ jwk: line as Record<string, string>, vectors: [] });
  }
  return keys;
}

type VectorLine = [id: number, message: string, signature: string, result: string, comment: string];

function vectorOf([id, message, signature, result, comment]: VectorLine): Vector {
  return { id, message: Buffer.from(message, 'base64url'), signature, result, comment };
}
