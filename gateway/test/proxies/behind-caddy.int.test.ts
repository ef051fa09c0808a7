import { type Behind, describeBehind, describeStopped, describeUntraced } from './behind.ts';
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
  withoutGateway: [502, undefined],
  passesLimits: false,
};

describeBehind(behind);
describeUntraced(behind);
describeStopped(behind);
describePages(behind);
describeConnections(behind);
