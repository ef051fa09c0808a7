import { editorSchema } from '../config/schema/editor-schema.ts';
import { referenceTable } from '../config/schema/reference.ts';
import type { Command } from './command.ts';

export const schema: Command = {
  name: 'schema',
  usage: '',
  summary: 'print the JSON Schema of the configuration, for editors',
  options: [['--table', 'as a Markdown table instead, the one of docs/gateway-yaml.md']],
  parse: { table: { type: 'boolean' } },
  run(terminal, values) {
    terminal.out(values.table === true ? referenceTable() : JSON.stringify(editorSchema(), null, 2));
    return 0;
  },
};
