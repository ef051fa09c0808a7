import { type Behind, describeBehind, describeUntraced } from './behind.ts';
import { describeConnections } from './behind-connections.ts';
import { describePages } from './behind-pages.ts';

const behind: Behind = {
  proxy: 'haproxy',
  start: (directory) => ({ command: 'haproxy', args: ['-C', directory, '-f', 'haproxy.cfg', '-W'] }),
  showsLength: true,
  showsCertificate: false,
  removesAliases: true,
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
describePages(behind);
describeConnections(behind);
