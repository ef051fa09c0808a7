import { tenantTable } from '@countersign/database';
import { appRole, eraserRole, membershipRole, readerRole } from '../../roles.ts';
import { isAdmin, isKnown, isStaff, restrictCommand, restrictRequests } from '../policies.ts';

const settings = [
  // The catalogue is closed by default. Otherwise anyone who can register could fill it.
  `create table settings (
     tenant_id text primary key check (tenant_id <> ''),
     open_catalogue boolean not null default false,
     revision uuid not null,
     updated_at timestamptz(3) not null)`,
  ...tenantTable('settings'),
  `grant select, insert, update (open_catalogue, revision, updated_at) on settings to ${appRole}`,
  restrictRequests('settings', { using: isKnown, check: isAdmin }),
];

const teams = [
  `create table teams (
     tenant_id text not null check (tenant_id <> ''),
     id uuid not null,
     name text not null,
     name_key text collate "C" not null,
     revision uuid not null,
     created_at timestamptz(3) not null,
     updated_at timestamptz(3) not null,
     primary key (tenant_id, id),
     constraint teams_name unique (tenant_id, name_key))`,
  ...tenantTable('teams'),
  `grant select, insert, update (name, name_key, revision, updated_at) on teams to ${appRole}`,
  restrictRequests('teams', { using: isKnown, check: isAdmin }),

  `create table team_members (
     tenant_id text not null,
     team_id uuid not null,
     user_id text not null check (user_id <> ''),
     primary key (tenant_id, team_id, user_id),
     foreign key (tenant_id, team_id) references teams (tenant_id, id))`,
  ...tenantTable('team_members'),
  `grant select, insert, delete on team_members to ${appRole}`,
  restrictRequests('team_members', { using: isStaff, check: isAdmin }),
  restrictCommand('team_members', 'delete', isAdmin),
  `grant select, delete on team_members to ${eraserRole}`,
];

const categories = [
  // Names are unique after folding. Targets are in minutes, or null.
  `create table categories (
     tenant_id text not null check (tenant_id <> ''),
     id uuid not null,
     name text not null,
     name_key text collate "C" not null,
     description text not null default '',
     team_id uuid,
     first_answer_minutes integer check (first_answer_minutes > 0),
     resolution_minutes integer check (resolution_minutes > 0),
     active boolean not null default true,
     revision uuid not null,
     created_at timestamptz(3) not null,
     updated_at timestamptz(3) not null,
     primary key (tenant_id, id),
     constraint categories_name unique (tenant_id, name_key),
     foreign key (tenant_id, team_id) references teams (tenant_id, id))`,
  ...tenantTable('categories'),
  `grant select, insert, update (name, name_key, description, team_id, first_answer_minutes, resolution_minutes, active,
     revision, updated_at) on categories to ${appRole}`,
  // While the catalogue is open, agents can add a category by using a new name.
  restrictRequests('categories', { using: isKnown }),
  restrictCommand('categories', 'insert', isStaff),
  restrictCommand('categories', 'update', isAdmin),
  `grant select on categories to ${membershipRole}, ${eraserRole}, ${readerRole}`,
];

const members = [
  // The latest membership update of each member. A higher sequence is newer.
  `create table members (
     tenant_id text not null check (tenant_id <> ''),
     user_id text not null check (user_id <> ''),
     role text not null,
     status text not null check (status in ('active', 'disabled')),
     sequence bigint not null,
     primary key (tenant_id, user_id))`,
  ...tenantTable('members'),
  // Reopening a complaint checks whether its agent is still available.
  restrictRequests('members', { using: isKnown }),
  `grant select on members to ${appRole}`,
  `grant select, insert, update (role, status, sequence) on members to ${membershipRole}`,
  `grant select, delete on members to ${eraserRole}`,
];

export const catalogueTables = [...settings, ...teams, ...categories, ...members];
