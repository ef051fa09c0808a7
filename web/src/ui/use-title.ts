import { useEffect } from 'react';
import { useTexts } from '../texts/texts.ts';

/** Sets the page title. Undefined while it is unknown. */
export function useTitle(title: string | undefined): void {
  const { product } = useTexts();
  useEffect(() => {
    document.title = title === undefined ? product : `${title} – ${product}`;
  }, [title, product]);
}
