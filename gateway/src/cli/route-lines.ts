import type { Route } from '../config/config.ts';
import { servedMethods } from '../config/path-pattern.ts';
import { limitText } from '../explain/route-text.ts';
import { compilePolicy } from '../routing/policy.ts';

/** Each route in two lines: what it serves, and its rules. Groups are resolved, and the order is that of the paths. */
export function routeLines(routes: readonly Route[]): readonly string[] {
  const keyOf = ({ path, methods }: Route) => `${path} ${methods}`;
  return routes
    .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    .flatMap((route) => [
      `${servedMethods(route.methods).join(' ')} ${route.path}  ${route.name}`,
      `    ${[...placeOf(route), ...compilePolicy(route).map(({ text }) => text), ...settingsOf(route)].join('; ')}`,
    ]);
}

function placeOf({ upstream, rewrite }: Route): readonly string[] {
  return [`to ${upstream.name}`, ...(rewrite === undefined ? [] : [`${rewrite.from} becomes ${rewrite.to}`])];
}

function settingsOf({ limits, body, forward: { cookies, authorization, dpop }, websocket }: Route): readonly string[] {
  return [
    ...limits.map(limitText),
    body.mode === 'none' ? 'no body' : `${body.mode} of ${body.maxBytes} bytes`,
    ...[...cookies].map((cookie) => `forwards ${cookie}`),
    ...(authorization ? ['forwards authorization'] : []),
    ...(dpop ? ['forwards dpop'] : []),
    ...(websocket ? ['websocket'] : []),
  ];
}
