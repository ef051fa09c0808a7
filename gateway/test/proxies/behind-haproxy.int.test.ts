import { type Behind, describeBehind, describeStopped, describeUntraced } from './behind.ts';
import { describeConnections } from './behind-connections.ts';
import { describePages } from './behind-pages.ts';

const behind: Behind = {
  proxy: 'haproxy',
  // In another directory than that of its files.
  start: (directory) => ({ command: 'haproxy', args: ['-f', `${directory}/haproxy.cfg`, '-W'], cwd: '/' }),
  showsLength: true,
  showsCertificate: false,
  removesAliases: true,
  withoutGateway: [503, 'unavailable'],
  passesLimits: true,
  cache: {
    file: 'haproxy.cfg',
    edits: [
      ['frontend public', 'cache all\n  total-max-size 4\n\nfrontend public'],
      ['\nbackend things\n', '\nbackend things\n  http-request cache-use all\n  http-response cache-store all\n'],
    ],
  },
};

describeBehind(behind);
describeUntraced(behind);
describeStopped(behind);
describePages(behind);
describeConnections(behind);
