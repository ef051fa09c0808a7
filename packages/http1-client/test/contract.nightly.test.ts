// The same cases, with undici in place of our own client.
await import('./contract.int.test.ts');
