import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { answerOf } from '../failure.ts';
import { unsubscribedQuery } from '../queries.ts';
import { client, logOut, rememberPage, useSession } from '../session.ts';
import { useStored } from '../store.ts';
import { type Language, language, languages, useTexts } from '../texts/texts.ts';
import { ErrorNotice, useTitle } from './state.tsx';

export function AccountMenu() {
  const texts = useTexts();
  const { user, tenant } = useSession();
  const [isOpen, setOpen] = useState(false);
  const leave = useMutation({ networkMode: 'always', mutationFn: logOut });
  return (
    <details
      className="account"
      onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
      onKeyDown={({ key, currentTarget }) => {
        if (key === 'Escape') currentTarget.open = false;
      }}
      onBlur={({ relatedTarget, currentTarget }) => {
        if (relatedTarget !== null && !currentTarget.contains(relatedTarget)) currentTarget.open = false;
      }}
    >
      <summary aria-label={texts.menu.title} title={user.email}>
        <span aria-hidden="true">{user.email.slice(0, 1).toUpperCase()}</span>
      </summary>
      <div className="card">
        <p>
          {user.email}
          <span className="muted">{tenant.slug}</span>
        </p>
        <a href="/account">{texts.menu.title}</a>
        {tenant.role === 'admin' && <a href="/account/members">{texts.menu.members}</a>}
        <LanguageChoice />
        {isOpen && <Unsubscribed />}
        <button type="button" disabled={leave.isPending} onClick={() => leave.mutate()}>
          {texts.menu.logOut}
        </button>
        {leave.error !== null && <ErrorNotice error={leave.error} />}
      </div>
    </details>
  );
}

/** The kinds of email from which the user has unsubscribed, each with a button to get it again. */
function Unsubscribed() {
  const { mail } = useTexts();
  const query = useQuery(unsubscribedQuery);
  const subscribe = useMutation({
    networkMode: 'always',
    mutationFn: (kind: keyof typeof mail.kinds) =>
      answerOf(client.api.DELETE('/v1/mail/unsubscribed/{kind}', { params: { path: { kind } } })),
    onSettled: () => query.refetch(),
  });
  if (query.data === undefined || query.data.length === 0) return null;
  return (
    <fieldset className="stack">
      <legend>{mail.title}</legend>
      {query.data.map((kind) => (
        <button key={kind} type="button" disabled={subscribe.isPending} onClick={() => subscribe.mutate(kind)}>
          {mail.kinds[kind]}
        </button>
      ))}
      {subscribe.error !== null && <ErrorNotice error={subscribe.error} />}
    </fieldset>
  );
}

export function LanguageChoice() {
  const texts = useTexts();
  const chosen = useStored(language);
  return (
    <div className="field">
      <label htmlFor="language">{texts.menu.language}</label>
      <select id="language" value={chosen} onChange={({ target }) => language.set(target.value as Language)}>
        {Object.entries(languages).map(([code, of]) => (
          <option key={code} value={code} lang={code}>
            {of.language}
          </option>
        ))}
      </select>
    </div>
  );
}

/** Shown without a session. The auth-service's login page returns to /app/. */
export function SignedOut() {
  const texts = useTexts();
  useTitle(texts.signedOut.title);
  return (
    <>
      <header className="top">
        <span className="brand">
          <img src="/app/icon.svg" alt="" width="26" height="26" />
          {texts.product}
        </span>
      </header>
      <main id="main" className="narrow stack">
        <section className="card">
          <h1>{texts.signedOut.title}</h1>
          <p>{texts.signedOut.text}</p>
          <p className="muted">{texts.signedOut.kept}</p>
          <p className="row">
            <a className="button primary" href="/login" onClick={rememberPage}>
              {texts.signedOut.logIn}
            </a>
          </p>
        </section>
        <LanguageChoice />
      </main>
    </>
  );
}
