import { type Behind, describeBehind, describeUntraced } from './behind.ts';
import { describeConnections } from './behind-connections.ts';
import { describePages } from './behind-pages.ts';

const behind: Behind = {
  proxy: 'caddy',
  start: (directory) => ({
    command: 'caddy',
    args: ['run', '--config', `${directory}/Caddyfile`, '--adapter', 'caddyfile'],
  }),
  showsLength: false,
  showsCertificate: true,
  removesAliases: false,
  passesLimits: false,
};

describeBehind(behind);
describeUntraced(behind);
describePages(behind);
describeConnections(behind);
