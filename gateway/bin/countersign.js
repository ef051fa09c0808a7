#!/usr/bin/env -S node --conditions=source
// From source, which Node runs by stripping types. A container that holds a build only runs `node dist/main.js`.
import '../src/main.ts';
