/**
 * What a change of a key changes: who may do what; whom or what the gateway trusts; what services receive; or how it
 * runs. `countersign diff` reports changes by class.
 */
export type KeyClass = 'policy' | 'trust' | 'services' | 'operations';

/**
 * Which values trust more: a larger number, a longer list or `true` (`more`), or the opposite (`less`). With `more or
 * none`, an empty list trusts everything. A key without it is always reported as wider.
 */
export type Wider = 'more' | 'less' | 'more or none';

const classed = (name: KeyClass) => (description: string, wider?: Wider) => ({
  'x-class': name,
  ...(wider && { 'x-wider': wider }),
  description,
});

/** The metadata of a key, with its meaning. Every key of the schema has a class. */
export const policy = classed('policy');
export const trust = classed('trust');
export const services = classed('services');
export const operations = classed('operations');
