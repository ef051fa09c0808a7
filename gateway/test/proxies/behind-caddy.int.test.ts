import { describeBehind } from './behind.ts';

describeBehind({
  proxy: 'caddy',
  start: (directory) => ({
    command: 'caddy',
    args: ['run', '--config', `${directory}/Caddyfile`, '--adapter', 'caddyfile'],
  }),
  showsLength: false,
  removesAliases: false,
  passesLimits: false,
});
