import { describeTrust } from '@countersign/testing/service';
import { complaintsWorld } from './world.ts';

describeTrust({
  world: complaintsWorld,
  // OAuth clients may use the list of complaints.
  target: '/v1/categories',
  otherTarget: '/v1/categories/0197c2a0-0000-7000-8000-000000000000',
  change: { method: 'POST', body: '{"name":"Mallory was here"}' },
  otherService: 'users-service',
});
