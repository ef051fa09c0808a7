// The same cases, with undici in place of our own client.
await import('./contract-tls.int.test.ts');
