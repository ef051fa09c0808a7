export { closest, unknown } from './closest.ts';
export { type FileProblem, type Path, type Source, type Written, writtenKeys } from './source.ts';
export { maxBytes, parseYaml, readYaml, tooLarge } from './yaml.ts';
