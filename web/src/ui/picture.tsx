import { useEffect, useState } from 'react';

/** Shows an image from memory. The content security policy allows `blob:` images for this. */
export function Picture({ of, alt }: { of: Blob; alt: string }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(of);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [of]);
  return url === undefined ? null : <img src={url} alt={alt} />;
}
