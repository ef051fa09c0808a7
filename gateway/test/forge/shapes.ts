import type { KeyObject } from 'node:crypto';

/** A kind of signature that must be refused, made with the key that signs valid ones. `input` is the JWS signing input. */
export type Shape = readonly [name: string, forge: (input: string, key: KeyObject) => Buffer];
