import { describeTrust } from '@countersign/testing/service';
import { complaintsWorld } from './world.ts';

describeTrust({
  world: complaintsWorld,
  target: '/v1/complaints',
  otherTarget: '/v1/complaints/0197c2a0-0000-7000-8000-000000000000',
  change: { method: 'POST', body: '{"title":"Mallory","description":"was here","category":"x"}' },
  otherService: 'users-service',
});
