import { useEffect, useState } from 'react';

/** Shows an image that is in memory. The policy of the pages allows images from `blob:` for this. */
export function Picture({ of, alt }: { of: Blob; alt: string }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(of);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [of]);
  return url === undefined ? null : <img src={url} alt={alt} />;
}
