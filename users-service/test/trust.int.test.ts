import { describeTrust } from '@countersign/testing/service';
import { usersWorld } from './world.ts';

describeTrust({
  world: usersWorld,
  target: '/v1/users/me',
  otherTarget: '/v1/users',
  change: { method: 'PATCH', body: '{"display_name":"Mallory"}' },
  otherService: 'complaint-service',
});
