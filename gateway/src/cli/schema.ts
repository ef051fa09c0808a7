import { editorSchema } from '../config/schema/json-schema.ts';
import { referenceTable } from '../config/schema/reference.ts';
import type { Command } from './command.ts';

export const schema: Command = {
  name: 'schema',
  usage: '',
  summary: 'print the JSON Schema of the configuration, for editors',
  options: [['--table', 'print the Markdown table of docs/gateway-yaml.md instead']],
  run(terminal, values) {
    terminal.out(values.table === true ? referenceTable() : JSON.stringify(editorSchema(), null, 2));
    return 0;
  },
};
