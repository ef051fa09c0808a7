export { type FileProblem, type Path, type Source, writtenKeys } from './source.ts';
export { printable } from './syntax.ts';
export { maxBytes, readYaml, tooLarge } from './yaml.ts';
