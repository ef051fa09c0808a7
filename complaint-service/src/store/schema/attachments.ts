import type { Insertable, Selectable } from 'kysely';
import type { FileType } from '../../domain/attachments/file-types.ts';

type AttachmentsTable = {
  tenant_id: string;
  /** Also the name of the stored file. */
  id: string;
  complaint_id: string;
  /** The comment that it belongs to. Null if it belongs to the complaint itself. */
  comment_id: string | null;
  uploader_id: string;
  /** Sanitized from the client's file name. */
  name: string;
  media_type: FileType['mediaType'];
  bytes: number;
  width: number | null;
  height: number | null;
  /** Inherited from the comment: visible to agents and admins only. */
  internal: boolean;
  created_at: Date;
};

type AttachmentSpaceTable = { tenant_id: string; bytes: number };

export type Attachment = Selectable<AttachmentsTable>;
export type NewAttachment = Insertable<AttachmentsTable>;
export type AttachmentTables = { attachments: AttachmentsTable; attachment_space: AttachmentSpaceTable };
