#!/usr/bin/env -S node --conditions=source
// From source, which Node runs by stripping types.
import { runOperatorCli } from '../src/operator/cli.ts';

process.exitCode = await runOperatorCli(process.argv.slice(2));
