import type { KeyObject } from 'node:crypto';

/** A kind of signature that must not hold, made with the very key that signs good ones. `input` is what a JWS signs. */
export type Shape = readonly [name: string, forge: (input: string, key: KeyObject) => Buffer];
