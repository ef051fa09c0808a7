import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type ChangeEvent, useRef, useState } from 'react';
import { shrinkPhoto } from '../filing/photos.ts';
import { fileQuery, filesQuery } from '../queries.ts';
import { type Attachment, isStaff, useSession } from '../session.ts';
import { useTexts, useTimes } from '../texts/texts.ts';
import { Dialog } from '../ui/dialog.tsx';
import { ErrorNotice, Picture, Waiting } from '../ui/state.tsx';
import { uploads } from '../upload.ts';
import { attachFile, type Upload, useRemoveFile } from './actions.ts';

const acceptedTypes = 'image/jpeg,image/png,image/webp,application/pdf,text/plain';

/** A complaint's files, and the button to add one. */
export function Files({ complaintId }: { complaintId: string }) {
  const texts = useTexts();
  const session = useSession();
  const remove = useRemoveFile(complaintId);
  const query = useQuery(filesQuery(complaintId));
  return (
    <section className="card" aria-labelledby="files">
      <h2 id="files">{texts.complaint.files}</h2>
      {query.data === undefined && <Waiting query={query} />}
      {query.data?.length === 0 && <p className="muted">{texts.complaint.noFiles}</p>}
      {query.data !== undefined && query.data.length > 0 && (
        <ul className="photos">
          {query.data.map((file) => (
            <li key={file.id}>
              {file.media_type.startsWith('image/') ? <Photo of={file} /> : <Document of={file} />}
              {(isStaff(session) || file.uploader_id === session.user.id) && (
                <button
                  type="button"
                  className="icon"
                  aria-label={texts.remove(file.name)}
                  disabled={remove.isPending}
                  onClick={() => confirm(`${texts.remove(file.name)}?`) && remove.mutate(file.id)}
                >
                  ✕
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {remove.error !== null && <ErrorNotice error={remove.error} />}
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
  const [share, setShare] = useState(0);
  const cancel = useRef(new AbortController());
  const add = useMutation({
    networkMode: 'always',
    mutationFn: async (upload: Upload) => {
      const { id, file } = upload;
      cancel.current = new AbortController();
      setShare(0);
      // An image that the browser cannot read is sent unchanged, so that the service refuses it with a reason.
      const smaller = file.type.startsWith('image/') ? await shrinkPhoto(file).catch(() => file) : file;
      uploads.set(id, setShare);
      await attachFile(complaintId, { id, file: smaller }, cancel.current.signal).finally(() => uploads.delete(id));
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
      <p className="muted" id="file-kinds">
        {texts.complaint.fileKinds}
      </p>
      <p className="row">
        <label className="button file">
          {texts.complaint.addFile}
          <input
            type="file"
            accept={acceptedTypes}
            aria-describedby="file-kinds"
            disabled={add.isPending}
            onChange={take}
          />
        </label>
        <span role="status" className="muted">
          {add.isPending && texts.complaint.uploading}
        </span>
        {add.isPending && (
          <>
            <progress aria-label={texts.complaint.uploading} value={share} />
            <button
              type="button"
              onClick={() => {
                cancel.current.abort();
                add.reset();
              }}
            >
              {texts.cancel}
            </button>
          </>
        )}
      </p>
      {add.error !== null && (
        <ErrorNotice error={add.error} onRetry={again === undefined ? undefined : () => add.mutate(again)} />
      )}
    </>
  );
}
