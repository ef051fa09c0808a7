import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type ChangeEvent, useState } from 'react';
import { shrinkPhoto } from '../filing/photos.ts';
import { fileQuery, filesQuery } from '../queries.ts';
import type { Attachment } from '../session.ts';
import { useTexts, useTimes } from '../texts/texts.ts';
import { Dialog } from '../ui/dialog.tsx';
import { ErrorNotice, Picture, Waiting } from '../ui/state.tsx';
import { attachFile } from './actions.ts';

/** A complaint's files, and the button to add one. */
export function Files({ complaintId }: { complaintId: string }) {
  const texts = useTexts();
  const query = useQuery(filesQuery(complaintId));
  return (
    <section className="card" aria-labelledby="files">
      <h2 id="files">{texts.complaint.files}</h2>
      {query.data === undefined && <Waiting query={query} />}
      {query.data?.length === 0 && <p className="muted">{texts.complaint.noFiles}</p>}
      {query.data !== undefined && query.data.length > 0 && (
        <ul className="photos">
          {query.data.map((file) => (
            <li key={file.id}>{file.media_type.startsWith('image/') ? <Photo of={file} /> : <Document of={file} />}</li>
          ))}
        </ul>
      )}
      <AddFile complaintId={complaintId} />
    </section>
  );
}

function Photo({ of }: { of: Attachment }) {
  const texts = useTexts();
  const { data, error } = useQuery(fileQuery(of.complaint_id, of.id));
  const [isLarge, setLarge] = useState(false);
  if (error !== null) return <ErrorNotice error={error} />;
  return (
    <>
      <button
        type="button"
        className="thumbnail"
        aria-label={texts.complaint.photo(of.name)}
        onClick={() => setLarge(true)}
      >
        {data !== undefined && <Picture of={data} alt="" />}
      </button>
      {isLarge && data !== undefined && (
        <Dialog wide title={of.name} onClose={() => setLarge(false)}>
          <Picture of={data} alt={of.name} />
        </Dialog>
      )}
    </>
  );
}

function Document({ of }: { of: Attachment }) {
  const texts = useTexts();
  const { number } = useTimes();
  const queries = useQueryClient();
  const download = useMutation({
    networkMode: 'always',
    mutationFn: () => queries.fetchQuery(fileQuery(of.complaint_id, of.id)),
    onSuccess: (blob) => {
      // The request needs the access token in a header, which a link cannot send.
      const url = URL.createObjectURL(blob);
      Object.assign(document.createElement('a'), { href: url, download: of.name }).click();
      URL.revokeObjectURL(url);
    },
  });
  return (
    <>
      <button
        type="button"
        className="document"
        aria-label={texts.complaint.download(of.name)}
        disabled={download.isPending}
        onClick={() => download.mutate()}
      >
        {of.name}
        <span className="muted">{texts.complaint.kilobytes(number(Math.ceil(of.bytes / 1_000)))}</span>
      </button>
      {download.error !== null && <ErrorNotice error={download.error} />}
    </>
  );
}

function AddFile({ complaintId }: { complaintId: string }) {
  const texts = useTexts();
  const queries = useQueryClient();
  const add = useMutation({
    networkMode: 'always',
    mutationFn: async (upload: { id: string; file: File }) => {
      const { file } = upload;
      // An image that the browser cannot read is sent unchanged, so that the service refuses it with a reason.
      const smaller = file.type.startsWith('image/') ? await shrinkPhoto(file).catch(() => file) : file;
      return attachFile(complaintId, { ...upload, file: smaller });
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ['complaint', complaintId, 'files'] }),
  });
  const take = ({ currentTarget: input }: ChangeEvent<HTMLInputElement>) => {
    const [file] = input.files ?? [];
    if (file !== undefined) add.mutate({ id: crypto.randomUUID(), file });
    input.value = '';
  };
  const again = add.variables;
  return (
    <>
      <p className="row">
        <label className="button file">
          {texts.complaint.addFile}
          <input type="file" accept="image/*,application/pdf,text/plain" disabled={add.isPending} onChange={take} />
        </label>
        <span role="status" className="muted">
          {add.isPending && texts.complaint.uploading}
        </span>
      </p>
      {add.error !== null && (
        <ErrorNotice error={add.error} onRetry={again === undefined ? undefined : () => add.mutate(again)} />
      )}
    </>
  );
}
