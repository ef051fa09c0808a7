export { closest, unknown } from './closest.ts';
export { type FileProblem, type Path, type Source, writtenKeys } from './source.ts';
export { maxBytes, readYaml, tooLarge } from './yaml.ts';
