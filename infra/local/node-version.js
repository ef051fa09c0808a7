// Loaded before any TypeScript, so that `npm start` on an unsupported Node.js exits with a clear message.
if (!process.features.typescript) {
  process.stderr.write(
    `npm start: needs Node.js 22 (from 22.19), 24, or 26 and later. This is ${process.version}. Run npm ci to install a supported one\n`,
  );
  process.exit(1);
}
