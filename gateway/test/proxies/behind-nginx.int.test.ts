import { describeBehind } from './behind.ts';

describeBehind({
  proxy: 'nginx',
  start: (directory) => ({ command: 'nginx', args: ['-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'] }),
  showsLength: true,
  removesAliases: false,
  passesLimits: true,
});
