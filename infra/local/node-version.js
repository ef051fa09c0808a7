// Loaded before any TypeScript, so that `npm start` on a Node.js that cannot run it ends with a sentence.
if (!process.features.typescript) {
  process.stderr.write(
    `npm start: needs Node.js 22 (from 22.19), 24, or 26 and later, and this is ${process.version}. npm ci installs one\n`,
  );
  process.exit(1);
}
