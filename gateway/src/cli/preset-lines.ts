import type { Issuer, ValueSource } from '../config/config.ts';
import { pathText } from '../tokens/claim-mapping/claim-path.ts';
import { conditionsText } from '../tokens/claim-mapping/conditions.ts';

/** Lists everything that the presets of a file set, so that nothing is hidden. One paragraph per issuer with a `provider`; issuers of one template share one. */
export function presetLines(issuers: readonly Issuer[]): readonly string[] {
  const seen = new Set<string>();
  return issuers.flatMap((issuer) => {
    const text = linesOf(issuer);
    const key = text.slice(1).join('\n');
    // Issuers of one template differ only in `issuer`, so show them once.
    if (issuer.provider === undefined || (issuer.template !== undefined && seen.has(key))) return [];
    seen.add(key);
    return text;
  });
}

function linesOf({
  issuer,
  provider,
  types,
  typeTest,
  algorithms,
  discovery,
  shownJwks,
  claims,
  machines,
}: Issuer): readonly string[] {
  const machineText = conditionsText(machines.when) || 'the subject is the client';
  return [
    `  ${issuer} (${provider})`,
    `    types      ${types.join(', ')}; ${conditionsText(typeTest) || 'no further test'}`,
    `    keys       ${discovery ? 'from the metadata of the issuer' : shownJwks}; ${algorithms.join(', ')}`,
    `    user       ${pathText(claims.userId)}`,
    `    role       ${sourceText(claims.role)}`,
    `    tenant     ${sourceText(claims.tenantId)}`,
    `    client     ${claims.client.join(' or ')}; a machine: ${machineText}, ${machines.isAccepted ? 'accepted' : 'refused'}`,
  ];
}

function sourceText(source: ValueSource): string {
  switch (source.kind) {
    case 'constant':
      return `always ${source.value}`;
    case 'claim':
      return pathText(source.path);
    case 'mapped':
      return `${pathText(source.path)}, mapped; otherwise ${source.otherwise ?? 'refused'}`;
    case 'fromIssuer':
      return 'from the issuer';
  }
}
