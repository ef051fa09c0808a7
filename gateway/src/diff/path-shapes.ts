import { ConfigError } from '@countersign/process-kit';
import type { GatewayConfig, Route } from '../config/config.ts';
import { ownPatterns } from '../config/own-paths.ts';
import { foldPattern, intersectionOf, parsePattern, rewritePattern, type Segment } from '../config/path-pattern.ts';
import { PatternIndex } from '../config/pattern-index.ts';
import { routesOn } from '../routing/route-table.ts';

export type Listener = keyof typeof ownPatterns;

/**
 * A set of paths that two route tables treat alike. `text` shows it: `*` is a segment that no route names, and a final
 * `**` any number of them. `segments` is an example. A free segment may be any that is not in its set in `taken`.
 */
export type PathShape = Readonly<{
  text: string;
  segments: readonly string[];
  taken: readonly (ReadonlySet<string> | undefined)[];
}>;

type Node = { literals: Map<string, Node>; param: Node | undefined; hasRest: boolean; isChanged: boolean };
type Placed = Readonly<{ route: Route; segments: readonly Segment[] }>;
type State = Readonly<{ nodes: readonly Node[]; isChanged: boolean }>;

const maxShapes = 200_000;

/**
 * Overlays the route tables of two configurations, and divides their paths wherever a route, another spelling of its
 * path, or the path that its upstream receives makes a difference. Leaves out the paths whose routes did not change.
 *
 * @param keyOf Everything about a route that can change a decision. Equal texts mean an unchanged route.
 * @param isChanged Whether all paths changed, even those without a route.
 * @throws ConfigError if there are more than 200,000 shapes.
 */
export function changedShapes(
  listener: Listener,
  configs: readonly GatewayConfig[],
  keyOf: (route: Route, side: number) => string,
  isChanged = false,
): readonly PathShape[] {
  const root: Node = { literals: new Map(), param: undefined, hasRest: false, isChanged: false };
  for (const pattern of ownPatterns[listener]) add(root, segmentsOf(pattern), false);
  const sides = configs.map((config, side) =>
    routesOn(listener, config).map((route) => ({ route, key: keyOf(route, side), segments: segmentsOf(route.path) })),
  );
  const keys = sides.map((routes) => new Set(routes.map(({ key }) => key)));
  const upstreams = sides.map((routes) => Map.groupBy(routes, ({ route }) => route.upstream.name));
  const keysOf = (all: readonly { key: string }[] = []) =>
    all
      .map(({ key }) => key)
      .sort()
      .join();
  for (const [side, routes] of sides.entries()) {
    for (const { key, segments } of routes) {
      const isOwn = keys[1 - side]?.has(key) !== true;
      for (const pattern of [segments, foldPattern(segments)]) add(root, pattern, isOwn);
    }
    for (const [name, ofUpstream] of upstreams[side] ?? []) {
      const isOther = keysOf(ofUpstream) !== keysOf(upstreams[1 - side]?.get(name));
      for (const pattern of askedFor(ofUpstream)) add(root, pattern, isOther);
    }
  }
  const shapes: PathShape[] = [];
  walk({ nodes: [root], isChanged }, { text: '', segments: [], taken: [] }, shapes);
  return shapes;
}

const segmentsOf = (pattern: string): readonly Segment[] => parsePattern(pattern) as readonly Segment[];

/** The patterns of all requests for which an upstream receives the path of one of its routes. */
function askedFor(routes: readonly Placed[]): readonly (readonly Segment[])[] {
  const rewrites = [...new Map(routes.map(({ route: { rewrite } }) => [JSON.stringify(rewrite), rewrite])).values()];
  if (rewrites.every((rewrite) => rewrite === undefined)) return [];
  const index = new PatternIndex<Route['rewrite']>();
  for (const rewrite of rewrites) index.add(receivedBy(rewrite), rewrite);
  return routes.flatMap(({ route, segments }) => {
    const sent = foldPattern(rewritePattern(segments, route.rewrite));
    return [...index.intersecting(sent)].flatMap((rewrite) => {
      const asked = beforeRewrite(sent, rewrite);
      return asked === undefined ? [] : [asked];
    });
  });
}

const receivedBy = (rewrite: Route['rewrite']): readonly Segment[] =>
  foldPattern(rewritePattern([{ kind: 'rest' }], { from: '/', to: rewrite?.to ?? '/' }));

/** Undefined if no rewritten path has this pattern. */
function beforeRewrite(sent: readonly Segment[], rewrite: Route['rewrite']): readonly Segment[] | undefined {
  if (rewrite === undefined) return sent;
  const both = intersectionOf(sent, receivedBy(rewrite));
  return both && rewritePattern(both, { from: rewrite.to, to: rewrite.from });
}

function add(root: Node, segments: readonly Segment[], isChanged: boolean): void {
  let node = root;
  for (const segment of segments) {
    node.isChanged ||= isChanged;
    if (segment.kind === 'rest') {
      node.hasRest = true;
      return;
    }
    const next = segment.kind === 'param' ? node.param : node.literals.get(segment.text);
    const child = next ?? { literals: new Map(), param: undefined, hasRest: false, isChanged: false };
    if (segment.kind === 'param') node.param = child;
    else node.literals.set(segment.text, child);
    node = child;
  }
  node.isChanged ||= isChanged;
}

/** Follows all routes at once, as {@link createRouteTable} tries one after the other. */
function walk(state: State, shape: PathShape, shapes: PathShape[]): void {
  const { nodes } = state;
  const isChanged = state.isChanged || nodes.some((node) => node.isChanged);
  if (!isChanged) return;
  if (shapes.length > maxShapes)
    throw new ConfigError([`more than ${maxShapes} kinds of paths, so they are not compared`]);
  if (nodes.length === 0) {
    shapes.push({ ...shape, text: `${shape.text}/**` });
    return;
  }
  if (shape.segments.length > 0) shapes.push(shape);
  const literals = new Set(nodes.flatMap(({ literals: own }) => [...own.keys()]));
  const params = nodes.flatMap(({ param }) => param ?? []);
  const hasRest = nodes.filter((node) => node.hasRest);
  const next = { isChanged: state.isChanged || hasRest.some((node) => node.isChanged) };
  for (const literal of literals) {
    if (literal === '') continue;
    const children = nodes.flatMap(({ literals: own }) => own.get(literal) ?? []);
    walk({ ...next, nodes: [...children, ...params] }, extended(shape, literal), shapes);
  }
  // A trailing slash is a segment that no parameter takes.
  shapes.push(extended(shape, ''));
  const free = freshFor(literals);
  walk({ ...next, nodes: params }, extended(shape, free, literals), shapes);
}

const extended = ({ text, segments, taken }: PathShape, segment: string, free?: ReadonlySet<string>): PathShape => ({
  text: `${text}/${free === undefined ? segment : '*'}`,
  segments: [...segments, segment],
  taken: [...taken, free],
});

/** A word that is not in the set, in any spelling. */
export function freshFor(taken: ReadonlySet<string>, word = 'other'): string {
  let fresh = word;
  for (let at = 2; taken.has(fresh); at += 1) fresh = `${word}-${at}`;
  return fresh;
}

/** @param chosen Values for free segments, by their index. */
export const pathOf = ({ segments }: PathShape, chosen: ReadonlyMap<number, string> = new Map()): string =>
  `/${segments.map((segment, at) => encodeURIComponent(chosen.get(at) ?? segment)).join('/')}`;

/** The paths that other shapes cover: those with a literal in place of a free segment. */
export function exceptionsOf({ text, taken }: PathShape): readonly string[] {
  const parts = text.split('/');
  return taken.flatMap((literals = new Set(), at) =>
    Array.from(literals, (literal) => [...parts.slice(0, at + 1), literal].join('/')),
  );
}
