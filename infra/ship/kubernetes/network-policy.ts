export type Labels = Readonly<Record<string, string>>;

type Selector = Readonly<{
  matchLabels?: Labels;
  matchExpressions?: readonly Readonly<{ key: string; operator: 'In'; values: readonly string[] }>[];
}>;
type Peer = Readonly<{ podSelector?: Selector; namespaceSelector?: Selector; ipBlock?: object }>;
type Rule = Readonly<{
  from?: readonly Peer[];
  to?: readonly Peer[];
  ports?: readonly Readonly<{ port: string | number }>[];
}>;

/** The part of a NetworkPolicy that these manifests use. */
export type NetworkPolicySpec = Readonly<{
  podSelector: Selector;
  policyTypes: readonly string[];
  ingress?: readonly Rule[];
  egress?: readonly Rule[];
}>;

export type Connection = Readonly<{
  from: Labels;
  to: Labels;
  /** The container port's name, or its number if the peer is not a Pod. */
  port: string | number;
}>;

const selects = ({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean =>
  Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
  matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? ''));

/** Peers in other namespaces and at addresses do not count. */
const isPeer = (peers: readonly Peer[] | undefined, labels: Labels): boolean =>
  peers === undefined ||
  peers.some(
    ({ podSelector, namespaceSelector }) =>
      podSelector !== undefined && namespaceSelector === undefined && selects(podSelector, labels),
  );

/**
 * Whether the policies allow a connection within their namespace, in both directions. As in Kubernetes, a Pod that no
 * policy selects for a direction is open in that direction. Otherwise one rule must match.
 */
export function admits(policies: readonly NetworkPolicySpec[], { from, to, port }: Connection): boolean {
  const isAdmitted = (direction: 'Ingress' | 'Egress', pod: Labels, peer: Labels) => {
    const selecting = policies.filter((one) => one.policyTypes.includes(direction) && selects(one.podSelector, pod));
    const rules = selecting.flatMap(({ ingress = [], egress = [] }) => (direction === 'Ingress' ? ingress : egress));
    const matches = (rule: Rule) =>
      isPeer(direction === 'Ingress' ? rule.from : rule.to, peer) &&
      (rule.ports === undefined || rule.ports.some((one) => one.port === port));
    return selecting.length === 0 || rules.some(matches);
  };
  return isAdmitted('Egress', from, to) && isAdmitted('Ingress', to, from);
}
