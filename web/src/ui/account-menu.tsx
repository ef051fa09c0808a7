import { useMutation } from '@tanstack/react-query';
import { logOut, rememberPage, useSession } from '../session.ts';
import { useStored } from '../store.ts';
import { type Language, language, languages, useTexts } from '../texts/texts.ts';
import { ErrorNotice, useTitle } from './state.tsx';

export function AccountMenu() {
  const texts = useTexts();
  const { user, tenant } = useSession();
  const leave = useMutation({ networkMode: 'always', mutationFn: logOut });
  return (
    <details
      className="account"
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
        <button type="button" disabled={leave.isPending} onClick={() => leave.mutate()}>
          {texts.menu.logOut}
        </button>
        {leave.error !== null && <ErrorNotice error={leave.error} />}
      </div>
    </details>
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
