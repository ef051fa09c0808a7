import type { Insertable, Selectable } from 'kysely';
import type { FileType } from '../../domain/attachments/file-types.ts';

type AttachmentsTable = {
  tenant_id: string;
  /** Also the name of the stored file. */
  id: string;
  complaint_id: string;
  /** The attachment's comment. Null if it belongs to the complaint itself. */
  comment_id: string | null;
  uploader_id: string;
  /** The sanitized file name. */
  name: string;
  media_type: FileType['mediaType'];
  bytes: number;
  width: number | null;
  height: number | null;
  /** Whether only agents and admins can see it, as for its comment. */
  internal: boolean;
  created_at: Date;
};

type AttachmentSpaceTable = { tenant_id: string; bytes: number };

export type Attachment = Selectable<AttachmentsTable>;
export type NewAttachment = Insertable<AttachmentsTable>;
export type AttachmentTables = { attachments: AttachmentsTable; attachment_space: AttachmentSpaceTable };
