import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';
import { ComplaintPage } from './complaints/complaint-page.tsx';
import { MyComplaints } from './complaints/my-complaints.tsx';
import { readStep } from './filing/draft.ts';
import { NewComplaint } from './filing/new-complaint.tsx';
import { Layout } from './layout.tsx';
import { isStaff, session } from './session.ts';
import { readFilters } from './staff/filters.ts';
import { ErrorNotice, NotFound } from './ui/state.tsx';

const seenByStaff = (): boolean => {
  const current = session.get();
  return current !== undefined && isStaff(current);
};

const root = createRootRouteWithContext()({ component: Layout, notFoundComponent: () => <NotFound /> });

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    if (seenByStaff()) throw redirect({ to: '/queue', search: {} });
  },
  component: MyComplaints,
});

const newComplaint = createRoute({
  getParentRoute: () => root,
  path: '/new',
  validateSearch: readStep,
  component: NewComplaint,
});

const complaint = createRoute({
  getParentRoute: () => root,
  path: '/complaints/$id',
  beforeLoad: ({ params }) => {
    if (seenByStaff()) throw redirect({ to: '/queue/$id', params });
  },
  component: ComplaintPage,
});

/** The service refuses other users anyway. This saves them from a page that they cannot use. */
const staffOnly = () => {
  if (!seenByStaff()) throw redirect({ to: '/' });
};

const queue = createRoute({
  getParentRoute: () => root,
  path: '/queue',
  validateSearch: readFilters,
  beforeLoad: staffOnly,
  component: lazyRouteComponent(() => import('./staff/queue.tsx'), 'Queue'),
});

const work = createRoute({
  getParentRoute: () => root,
  path: '/queue/$id',
  beforeLoad: staffOnly,
  component: lazyRouteComponent(() => import('./staff/work.tsx'), 'Work'),
});

export const router = createRouter({
  routeTree: root.addChildren([home, newComplaint, complaint, queue, work]),
  basepath: '/app',
  defaultErrorComponent: ({ error }) => <ErrorNotice error={error} />,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
