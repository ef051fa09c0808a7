import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { createRoot } from 'react-dom/client';
import { isFinal } from './failure.ts';
import { router } from './router.tsx';
import { client, returnToPage, session } from './session.ts';
import { useStored } from './store.ts';
import { SignedOut } from './ui/account-menu.tsx';
import { ErrorNotice } from './ui/state.tsx';
import './style.css';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // If offline, users see that immediately instead of a loading page.
      networkMode: 'always',
      // The client already retries.
      retry: (count, error) => count < 1 && !isFinal(error),
    },
  },
});

// Discards the previous user's data, because another user may log in.
session.subscribe(() => queries.clear());

function App() {
  const current = useStored(session);
  if (current === undefined) return <SignedOut />;
  return (
    <QueryClientProvider client={queries} key={current.id}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  );
}

const page = createRoot(document.getElementById('root') as HTMLElement);

/** This cookie is set and cleared with the refresh token, which scripts cannot see. */
const signedIn = '__Host-signed-in';

async function start(): Promise<void> {
  try {
    if (document.cookie.split('; ').includes(`${signedIn}=1`)) {
      if ((await client.resume()) === undefined) await cookieStore.delete(signedIn);
      else returnToPage();
    }
    page.render(<App />);
  } catch (error) {
    page.render(
      <main className="narrow stack">
        <ErrorNotice error={error} onRetry={() => void start()} />
      </main>,
    );
  }
}

await start();
