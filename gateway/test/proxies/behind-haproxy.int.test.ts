import { describeBehind } from './behind.ts';

describeBehind({
  proxy: 'haproxy',
  start: (directory) => ({ command: 'haproxy', args: ['-C', directory, '-f', 'haproxy.cfg', '-W'] }),
  showsLength: true,
  removesAliases: true,
  passesLimits: true,
});
