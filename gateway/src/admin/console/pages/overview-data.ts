import type { CertificateList } from '../../api/certificates.ts';
import type { EventList } from '../../api/events.ts';
import type { IssuerList } from '../../api/issuers.ts';
import type { LimitList } from '../../api/limits.ts';
import type { ProcessList } from '../../api/process.ts';
import type { RefusalList } from '../../api/refusals.ts';
import type { ReloadList } from '../../api/reloads.ts';
import type { RevocationList } from '../../api/revocations.ts';
import type { TrafficView } from '../../api/traffic.ts';
import type { UpstreamList } from '../../api/upstreams.ts';

/** The views that the overview page shows. */
export type OverviewData = Readonly<{
  traffic: TrafficView;
  processes: ProcessList;
  upstreams: UpstreamList;
  issuers: IssuerList;
  revocations: RevocationList;
  reloads: ReloadList;
  limits: LimitList;
  certificates: CertificateList;
  refusals: RefusalList;
  events: EventList;
  nowMs: number;
}>;
