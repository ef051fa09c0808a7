/** Called with the sent share of a request's body, from 0 to 1, by its Idempotency-Key. */
export const uploads = new Map<string, (share: number) => void>();

/** Sends a request as `fetch` does, which cannot tell how much it has sent. */
export async function fetchWithProgress(request: Request, onShare: (share: number) => void): Promise<Response> {
  const body = await request.blob();
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    sent.open(request.method, request.url);
    for (const [name, value] of request.headers) sent.setRequestHeader(name, value);
    sent.responseType = 'blob';
    sent.upload.onprogress = ({ loaded, total }) => onShare(loaded / total);
    sent.onerror = () => reject(new TypeError('the upload failed'));
    sent.onabort = () => reject(request.signal.reason);
    sent.onload = () => {
      const lines = sent.getAllResponseHeaders().trim().split('\r\n');
      const headers = lines.map((line) => line.split(': ', 2) as [string, string]);
      resolve(new Response(sent.response as Blob, { status: sent.status, headers }));
    };
    request.signal.addEventListener('abort', () => sent.abort());
    sent.send(body);
  });
}
