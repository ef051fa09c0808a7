import { rememberPage } from './session.ts';
import { useTexts } from './texts/texts.ts';
import { LanguageChoice } from './ui/account-menu.tsx';
import { useTitle } from './ui/use-title.ts';

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
      <main id="main" className="narrow">
        <section className="card">
          <h1>{texts.signedOut.title}</h1>
          <p>{texts.signedOut.text}</p>
          <p className="muted">{texts.signedOut.kept}</p>
          <p className="actions">
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
