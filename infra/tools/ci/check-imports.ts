import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseSync } from '@swc/core';
import { type FolderRules, importRules, placeOf } from './import-rules.ts';

type Rules = Readonly<Record<string, FolderRules>>;
type Workspace = Readonly<{
  folder: string;
  name: string;
  exports?: Readonly<Record<string, { source?: string }>>;
  devDependencies?: Readonly<Record<string, string>>;
  peerDependencies?: Readonly<Record<string, string>>;
}>;
type Import = ReturnType<typeof resolve>;
type Node = Readonly<{ [key: string]: unknown }>;

/**
 * Checks the imports in every TypeScript file of every workspace, including imports of types, `import('…')` and `export
 * … from`.
 *
 * @param root The folder whose package.json lists the workspaces.
 * @returns A line for each import of a service outside infra/, each import against the rules, each import that an
 *   installed package would not find, and each cycle of files.
 */
export function importProblems(root: string, rules: Rules): string[] {
  const workspaces = workspacesOf(root);
  const folders = workspaces.map(({ folder }) => folder);
  const imports = globSync(
    folders.map((folder) => `${folder}/**/*.ts`),
    { cwd: root, exclude: ['**/node_modules/**', '**/dist/**'] },
  )
    .sort()
    .flatMap((from) => specifiersOf(path.join(root, from)).map((specifier) => resolve(workspaces, from, specifier)));
  return [
    ...imports
      .filter((one) => importsService(folders, one))
      .map((one) => `${shown(one)}: only infra/ imports services`),
    ...imports.flatMap((one) => againstRules(rules, one)),
    ...imports
      .filter((one) => importsForDevelopment(workspaces, one))
      .map((one) => `${shown(one)}: an installed package has no devDependencies`),
    ...cyclesOf(imports),
  ];
}

function workspacesOf(root: string): readonly Workspace[] {
  const read = (file: string) => JSON.parse(readFileSync(path.join(root, file), 'utf8'));
  const { workspaces } = read('package.json') as { workspaces: string[] };
  const packages = workspaces.map((folder) => `${folder}/package.json`);
  return globSync(packages, { cwd: root }).map((file) => ({ ...read(file), folder: path.dirname(file) }));
}

function specifiersOf(file: string): readonly string[] {
  const found: string[] = [];
  const visit = (node: Node): void => {
    const { value, type } = (importedBy(node) ?? {}) as Node;
    if (type === 'StringLiteral') found.push(value as string);
    else if (type !== undefined) throw new Error(`${file}: import() of a computed name cannot be checked`);
    for (const child of Object.values(node)) if (typeof child === 'object' && child !== null) visit(child as Node);
  };
  visit(
    parseSync(readFileSync(file, 'utf8'), {
      syntax: 'typescript',
      target: 'es2024',
      decorators: true,
    }) as unknown as Node,
  );
  return found;
}

/**
 * Returns the literal that names a module: in an import or export declaration, a type `import('…')` or a call
 * `import('…')`.
 */
function importedBy({ type, source, argument, callee, arguments: given }: Node): unknown {
  if (type === 'TsImportType') return argument;
  if (type === 'CallExpression' && (callee as Node).type === 'Import') return (given as Node[])[0]?.expression;
  return source;
}

/** @returns An import, with its file in the repository. Undefined for an npm package or a Node module. */
function resolve(workspaces: readonly Workspace[], from: string, specifier: string) {
  if (specifier.startsWith('.')) return { from, specifier, file: path.join(path.dirname(from), specifier) };
  const owner = workspaces.find(({ name }) => specifier === name || specifier.startsWith(`${name}/`));
  if (owner === undefined) return { from, specifier, file: undefined };
  // A service exports nothing, so an import of it resolves to its package.json.
  const { source = 'package.json' } = owner.exports?.[`.${specifier.slice(owner.name.length)}`] ?? {};
  return { from, specifier, file: path.join(owner.folder, source) };
}

const shown = ({ from, file, specifier }: Import): string => `${from} imports ${file ?? specifier}`;
const isIn = (file: string, place: string): boolean => file === place || file.startsWith(`${place}/`);

function importsService(folders: readonly string[], { from, file }: Import): boolean {
  const importing = folders.find((folder) => isIn(from, folder));
  const imported = folders.find((folder) => file !== undefined && isIn(file, folder));
  return imported !== undefined && imported !== importing && importing !== 'infra' && !isIn(imported, 'packages');
}

/** Does not apply to other workspaces, whose code is bundled into the package. */
function importsForDevelopment(workspaces: readonly Workspace[], { from, file, specifier }: Import): boolean {
  const { devDependencies = {}, peerDependencies = {} } =
    workspaces.find(({ folder }) => isIn(from, `${folder}/src`)) ?? {};
  if (file !== undefined || from.endsWith('.test.ts')) return false;
  return Object.keys(devDependencies).some((name) => isIn(specifier, name) && !(name in peerDependencies));
}

function againstRules(rules: Rules, one: Import): string[] {
  const { from, file, specifier } = one;
  const [folder, rule] = Object.entries(rules).find(([name]) => isIn(from, name)) ?? [];
  if (rule === undefined || (from.endsWith('.test.ts') && rule.withTests !== true)) return [];
  const layers = rule.layers.map(placeOf);
  const layerOf = (of: string) => {
    const matching = layers.filter((layer) => isIn(of, `${folder}/${layer}`));
    return layers.indexOf(matching.find((layer) => matching.every((other) => other.length <= layer.length)) ?? '');
  };
  const own = layerOf(from);
  if (own === -1) return [`${from} is in no layer of ${folder}: add it to import-rules.ts`];
  const workspace = folder?.replace(/\/src$/, '') ?? '';
  if (file !== undefined && isIn(file, workspace) && layerOf(file) < own)
    return [`${shown(one)}: against ${layers.join(' → ')}`];
  const layer = layers[own] ?? '';
  const reserved = Object.keys(rule.only ?? {}).filter((name) => !rule.only?.[name]?.includes(layer));
  const banned = [...reserved, ...(rule.forbidden?.[layer] ?? [])].some((name) => isIn(specifier, name));
  return banned ? [`${shown(one)}: ${layer} must not`] : [];
}

/** Searches depth first: an import of a file that is still being visited closes a cycle. */
function cyclesOf(imports: readonly Import[]): string[] {
  const graph = Map.groupBy(imports, ({ from }) => from);
  const cycles: string[] = [];
  const visited = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file);
    if (start !== -1) cycles.push(['a cycle:', ...trail.slice(start), file].join('\n  '));
    if (visited.has(file)) return;
    visited.add(file);
    for (const next of graph.get(file) ?? []) if (next.file !== undefined) visit(next.file, [...trail, file]);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}

if (import.meta.main) {
  const problems = importProblems(path.resolve(import.meta.dirname, '../../..'), importRules);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (problems.length > 0) process.exitCode = 1;
}
