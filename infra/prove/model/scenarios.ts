import type { Event, Instance, Scenario } from './model.ts';
import { type Asked, product } from './rules.ts';

const post: Asked = { method: 'POST', path: '/a', body: 'a', caller: 'u', audience: 'a' };
const instance = (clockSec: number, agreed: Instance['agreed'] = 'directory', audience = 'a') => ({
  audience,
  clockSec,
  agreed,
});
const may = (...events: Event[]) => events;
/** Clocks as far apart as they may be. */
const apart = { instances: [instance(5), instance(-5)], sharesNonces: true };

/** `depth` is the number of steps to explore, and `deep` that at night. */
export const scenarios = {
  'two instances': { ...apart, requests: [post], may: may('hold', 'answer', 'restart', 'log out'), depth: 6, deep: 8 },
  'two instances without shared nonces': {
    ...{ ...apart, sharesNonces: false, requests: [post] },
    may: may('hold', 'answer', 'restart'),
    depth: 5,
    deep: 8,
  },
  'changed requests, and another service': {
    requests: [post, { ...post, caller: 'v' }],
    instances: [instance(0, 'no'), instance(0, 'no', 'b')],
    sharesNonces: false,
    may: may('hold', 'alter', 'late body'),
    depth: 5,
    deep: 8,
  },
  'keys and nonces in memory': {
    requests: [post, { ...post, method: 'GET' }],
    instances: [instance(-5, 'memory')],
    sharesNonces: false,
    may: may('hold', 'answer', 'restart', 'late body', 'log out'),
    depth: 6,
    deep: 9,
  },
  'a new key of the gateway': {
    ...apart,
    requests: [post, post],
    may: may('hold', 'new gateway key', 'made-up keyid', 'cut'),
    depth: 5,
    deep: 8,
  },
  'the end of an old key of the gateway': {
    ...apart,
    requests: [post],
    newKeysSec: [1 - product.publishAheadSec],
    may: may('hold', 'made-up keyid'),
    depth: 6,
    deep: 9,
  },
  'a new key of the service': {
    ...apart,
    requests: [post, post],
    may: may('hold', 'new service key', 'cut'),
    depth: 6,
    deep: 9,
  },
} satisfies Record<string, Scenario & { depth: number; deep: number }>;
