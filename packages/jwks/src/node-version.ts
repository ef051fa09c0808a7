// Here, because every package imports this one. Without it, Node.js 20 fails at the first call of a missing function.
if (Promise.withResolvers === undefined) {
  throw new Error(`Countersign needs Node.js 22 (from 22.19), 24, or 26 and later, but this is ${process.version}`);
}
