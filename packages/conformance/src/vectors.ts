import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type Pair = readonly [name: string, value: string];

/** A request of the vectors. A character of each text is one byte with the same number. */
export type VectorRequest = Readonly<{
  method: string;
  target: string;
  headers: readonly Pair[];
  body_base64: string;
}>;

/** One vector of `vectors.json`. See docs/contract-vectors.md. */
export type Vector = Readonly<{
  name: string;
  /** Unix seconds. */
  now: number;
  stream: boolean;
  memory_began: number;
  delivered_before: number;
  requests_before?: readonly VectorRequest[];
  request: VectorRequest;
  identity?: unknown;
  refused?: string;
  exempt?: true;
}>;

type VectorFile = Readonly<{
  verifier: Readonly<{ audience: string }>;
  keys: Readonly<{
    jwks: Readonly<{ keys: readonly Readonly<Record<string, unknown>>[] }>;
    private: readonly Readonly<{ kty: string; crv: string; x: string; d: string }>[];
    secrets: readonly Readonly<{ keyid: string }>[];
  }>;
  vectors: readonly Vector[];
}>;

export const readVectors = (): VectorFile =>
  JSON.parse(readFileSync(fileURLToPath(import.meta.resolve('@countersign/identity/vectors.json')), 'utf8'));

/** The first value of a header, without the space around it. */
export const headerOf = ({ headers }: VectorRequest, name: string): string | undefined =>
  headers.find(([known]) => known.toLowerCase() === name)?.[1].trim();
